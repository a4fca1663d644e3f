"""Records into a batch of rows: decode, judge the chain, project, and keep one row a key. No Postgres here, no waiting: what a batch holds is a
function of where the reading stood and the records, so cutting the log into other batches cannot change the rows.

`Intake` is where one reading of the log stands. The engine gives it records and writes what it hands back; after a failed write it begins anew
from what the database holds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from projections.rows import Change, Fold, Key, Row, Table, Unprojectable
from projections.sources import SOURCES, Source
from schemas.codec import Undecodable, UnknownType, decode
from schemas.envelope import Event
from schemas.trading import LeaseTaken
from streams.log import Record, TopicPartition
from streams.log.chain import Chain, Verdict
from streams.log.cuts import id_in

StreamKey = tuple[str, str]     # topic, key


class ProjectionHalted(RuntimeError):
    """The log cannot be projected beyond this record; a person has to look. The message names the record and the way out."""


@dataclass(slots=True)
class Move:
    """How far a batch takes one partition."""

    expected: int                       # next offset before the batch
    next: int                           # next offset after it
    last_id: UUID | None = None         # of the record at next - 1
    last_at: datetime | None = None     # when the log took it


@dataclass(slots=True)
class Batch:
    """The rows, folds and places that a run of records comes to."""

    puts: dict[Table, dict[Key, Row]] = field(default_factory=dict)
    folds: dict[Table, dict[Key, list[Event]]] = field(default_factory=dict)
    moves: dict[TopicPartition, Move] = field(default_factory=dict)
    chains: dict[StreamKey, Chain] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)       # (topic, event type)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)     # (topic, why)
    seconds: float = 0.0                        # its transaction took, once it is written
    halt: ProjectionHalted | None = None        # the record after these cannot be projected
    written: set[Row] = field(default_factory=set)      # stubs that need not be written again

    def add(self, changes: Iterable[Change]) -> None:
        """Take changes in log order. A put and a fold of one row never meet: each table has one way to keep. Called for every event: 1 us counts."""
        puts, written = self.puts, self.written
        for change in changes:
            table = change.table
            if isinstance(change, Fold):
                self.folds.setdefault(table, {}).setdefault(change.key, []).append(change.event)
                continue
            row = change.row
            if table.stub and row in written:
                continue
            rows = puts.get(table)
            if rows is None:
                rows = puts[table] = {}
            key = row[:table.key]
            held = rows.setdefault(key, row)
            if held is not row and (table.keeps == "last" or (table.keeps == "newest" and row[table.key] > held[table.key])):
                rows[key] = row


class Intake:
    """Where a reading of the log stands: the next offset of each partition and the event before it, the chain of each single-writer stream, the stubs
    already written."""

    def __init__(self, positions: Mapping[TopicPartition, int], anchors: Mapping[TopicPartition, UUID], chains: Mapping[StreamKey, Chain], *,
                 strict: bool, sources: Mapping[str, Source] = SOURCES) -> None:
        self.positions = dict(positions)
        self.anchors = dict(anchors)
        self.chains = dict(chains)
        self._written: set[Row] = set()
        self._strict = strict           # a rebuild fails where a live projection leaves out
        self._sources = sources

    def begin(self) -> Batch:
        """An empty batch that knows which stubs are there."""
        return Batch(written=self._written)

    def take(self, records: Iterable[Record], batch: Batch) -> None:
        """Add these records to the batch; what was taken before is passed over. Stops before a record that halts, with `halt` saying why; such a batch
        takes nothing more."""
        place, move, source = TopicPartition("", -1), Move(0, 0), None
        for record in records if batch.halt is None else ():
            if record.partition != place.partition or record.topic != place.topic:
                self._close(batch, place, move)
                place = TopicPartition(record.topic, record.partition)
                source = self._sources[record.topic]
                move = batch.moves.get(place) or Move(self.positions[place], self.positions[place])
            if record.offset < move.next:
                batch.left_out[record.topic, "redelivered"] += 1
                continue
            assert source is not None
            try:
                move.last_id = self._project(batch, source, record)
            except ProjectionHalted as halt:
                batch.halt = halt
                break
            move.next, move.last_at = record.offset + 1, record.timestamp
        self._close(batch, place, move)
        for place, move in batch.moves.items():
            self.positions[place] = move.next
            if move.last_id is not None:
                self.anchors[place] = move.last_id
            else:
                self.anchors.pop(place, None)       # that record has no id to know it by

    def pass_over(self, begins: Mapping[TopicPartition, int], until: Mapping[TopicPartition, int] | None) -> Batch:
        """A batch that leads to where these partitions begin now: what stood before is gone for good. Never beyond `until`, where there is one."""
        batch = self.begin()
        for place, begin in begins.items():
            stood = self.positions[place]
            if begin >= stood:
                self.anchors.pop(place, None)       # the event before that place is gone too
            begin = begin if until is None else min(begin, until.get(place, begin))
            if begin > stood:
                batch.moves[place] = Move(stood, begin)
                self.positions[place] = begin
        return batch

    def wrote(self, batch: Batch) -> None:
        """The batch is committed: its stubs are there now."""
        for table, rows in batch.puts.items():
            if table.stub:
                self._written.update(rows.values())

    def _close(self, batch: Batch, place: TopicPartition, move: Move) -> None:
        if move.next > move.expected:
            batch.moves[place] = move

    def _project(self, batch: Batch, source: Source, record: Record) -> UUID | None:
        """Take one record into the batch; its event id where it has one. Raises ProjectionHalted."""
        try:
            event = decode(record.value)
        except Undecodable as error:
            return self._strange(batch, source, record, error)
        if source.topic.single_writer and not self._follows(batch, record, event):
            return event.id
        project = source.projects.get(type(event))
        if project is not None:
            try:
                batch.add(project(event))
            except Unprojectable as error:
                return self._strange(batch, source, record, error)
        batch.counts[record.topic, event.type] += 1
        return event.id

    def _follows(self, batch: Batch, record: Record, event: Event) -> bool:
        """Whether the chain of its stream lets the event through. Raises ProjectionHalted at a gap."""
        leased = LeaseTaken in self._sources[record.topic].topic.carries
        stream = (record.topic, record.key)
        verdict, chain, why = self.chains.get(stream, Chain(leased=leased)).judge(event, record.value)
        if verdict.stops:
            raise ProjectionHalted(f"{_named(record)}: {verdict.name.lower()} in the stream of {record.key}: {why}. The read models stand before it; "
                                   "restore the missing records on the broker, then start the projector again")
        if verdict is not Verdict.APPLIES:
            batch.left_out[record.topic, verdict.name.lower()] += 1
            return False
        self.chains[stream] = batch.chains[stream] = chain
        return True

    def _strange(self, batch: Batch, source: Source, record: Record, error: ValueError) -> UUID | None:
        """A record we cannot project: left out or halting, as its source says."""
        if not source.skips or (self._strict and not source.answered):
            raise ProjectionHalted(f"{_named(record)}: {error}" + (
                "" if isinstance(error, UnknownType) else ". The read models stand before it; look at it with `catalyst log read`")) from error
        if source.topic.single_writer:
            self._follows(batch, record, _envelope(record))
        batch.left_out[record.topic, "unknown type" if isinstance(error, UnknownType) else "unreadable"] += 1
        return id_in(record.value)


def _envelope(record: Record) -> Event:
    """The envelope of an event whose type we do not know, so that its chain can go on. Raises ProjectionHalted."""
    try:
        return Event.model_validate_json(record.value)
    except ValueError as error:
        raise ProjectionHalted(f"{_named(record)}: not an event, on a stream whose records are chained. The read models stand before it") from error


def _named(record: Record) -> str:
    return f"{record.topic}, partition {record.partition}, offset {record.offset}"
