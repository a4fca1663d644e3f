"""Words that lean one way in market English, as data for the embedded sentiment model. Written by hand for this project.

An entry of four letters or more stands for its endings too (up to ENDING letters longer: `surg` for surge, surged, surging); a shorter one only for
itself. Which way an entry really pulls, and how hard, the training decides: the lists say only what is worth looking at. They are part of the model:
a change to them needs the model trained anew, and a test says so.
"""

ENDING = 5      # letters an entry may lack at the end
STEM = 4        # letters an entry needs before it stands for its endings

_POSITIVE = """
accelerat achiev advanc all-time-high applaud appreciat approv attractive award bargain beat beating beats best better blockbuster blowout bolster boom
boon boost bounce breakout breakthrough bright bull bullish buoy buyback calm cheer climb comeback compelling confiden conviction deserve double doubled
eases easing efficien encourag exceed excel exceptional expand expansion favorabl favour gain gained gainer gains good great grew grow growing grows
growth healthy higher highest highs hope hopeful improv increas innovat jump jumped jumps lead lift lifted lifts long lucrative milestone momentum
opportunit optimis outpac outperform overweight peak pop popped pops positive profit profitab progress promising prosper quadrupl raise raised raises
raising rallied rallies rally rebound record recover recovers recovery resilien resum reviv reward rise rises rising robust rocket rose rosy scoop shine
skyrocket soar solid spike spiked stellar strength strengthen strong stronger strongest succeed success surg surge surpass swell tailwind thriv top
topped tops triple tripled turnaround undervalued up upbeat upgrad uplist upped upside upsiz upswing uptrend upward win winner winners wins won
"""

_NEGATIVE = """
abandon abrupt accus adverse anxi attack avoid awful axe axes bad ban bankrupt bans bear bearish below bleak bleed blow bogus breach bubble burden
calamit cancel caution cautious challeng charges closes collaps complain concern contraction correction crack crash crimp crisis critic crumbl curb cut
cuts cutting damag danger dead deadl death debt decelerat declin deepen default defect defensive deficit delay delist demise depress deterior dilut dip
dipped dips dire disappoint disaster dismal disput disrupt dive dives doubt down downbeat downgrad downside downsiz downturn drag drain dread drop
dropped drops drown dump fail failed failing fails failure fall fallen falling falls fear feared fears fell fine fined flat flee flop forced fraud freeze
frustrat furlough gloom glut grim grippl hack halt halted halts harm headwind heavy hit hits hurt hurts idle illegal impair infect injur investigat
jitter jobless kill lackluster lag lagg lame laps lawsuit layoff liabilit limp linger litigat lose loser losers loses losing loss losses lost low lower
lowered lowers lowest lows meltdown misconduct miss missed misses missing negativ nosediv outflow overpric overvalu panic penalt perilous pessimis plague
plummet plung poor poorly pressur prob probe problem protest pull pulled pulls quit quits recall recession reject resign restat restrict retreat riot
risk roil sanction sank scandal scar sell selloff sells setback shed sheds short shortage shortfall shrank shrink shrivel sidelin sink sinks skid slash
slashed slid slide slides slip slipped slow slowdown slower slowing slows sluggish slump sour squeeze stall steep stop stops strain stress strike struggl
stumbl sue sued sues suffer suit suspend suspicio swoon tank tanked tariff terminat threat toll totter tough toxic trap trim trimmed trims troubl tumbl
turmoil uncertain underperform underweight unease unravel vicious violat vulnerab warn warned warning warns weak weaken weaker weakness weigh weighs
worr worse worsen worst worthless wreck
"""

POSITIVE, NEGATIVE = frozenset(_POSITIVE.split()), frozenset(_NEGATIVE.split())
NEGATIONS = frozenset(("not", "no", "never", "without"))       # and every word that ends in n't
NEGATED = 3     # words that follow a negation and are read the other way


def leaning(word: str) -> tuple[int, str]:
    """+1 or -1 and the entry that the word comes from; (0, "") where neither list has it."""
    for length in range(len(word), max(len(word) - ENDING, STEM) - 1, -1):
        entry = word[:length]
        if entry in POSITIVE:
            return 1, entry
        if entry in NEGATIVE:
            return -1, entry
    return (1, word) if word in POSITIVE else (-1, word) if word in NEGATIVE else (0, "")


def negates(word: str) -> bool:
    """Whether the words behind this one mean their opposite."""
    return word in NEGATIONS or word.endswith("n't")
