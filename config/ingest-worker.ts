import { integer } from '../shared/config.ts'

/** How long points may be gathered; a server takes 1,000 points in one request at a twentieth of what they cost singly. */
export const lingerMs = (fallback: number) =>
  integer(fallback, 'Milliseconds that decoded points may be held back to write 1,000 at once.', {
    min: 0,
    max: 1000,
  })

/** Settings of the ingest worker; the defaults suit one node. */
export const ingestWorkerSettings = {
  INGEST_BATCH_RECORDS: integer(2000, 'Records per batch read from the log, per partition.', {
    min: 1,
    max: 10_000,
  }),
  INGEST_WRITE_POINTS: integer(5000, 'Points per write to the store; batches are combined up to this.', {
    min: 1,
    max: 50_000,
  }),
  INGEST_LINGER_MS: lingerMs(0),
  INGEST_CHECKPOINT_MS: integer(
    1000,
    'Milliseconds between checkpoints, which make stored points durable and commit their offsets.',
    { min: 10, max: 5000 },
  ),
  INGEST_CHECKPOINT_RECORDS: integer(100_000, 'Records after which a checkpoint is made early.', {
    min: 1,
    max: 1_000_000,
  }),
  INGEST_LATEST_STREAMS: integer(50_000, 'Streams whose latest values are kept in memory, about 1 KB each.', {
    min: 1000,
    max: 10_000_000,
  }),
  // A controller of a plant has some thousand tags, and no device a reason for more; made up all at once they cost 0.1 s.
  INGEST_DEVICE_FIELDS: integer(
    10_000,
    'Fields that a device may have, of all its streams together; values of further ones are refused, known ones are stored.',
    { min: 1, max: 1_000_000 },
  ),
  // A gateway may give each of its sensors a stream.
  INGEST_DEVICE_STREAMS: integer(1000, 'Streams that a device may have.', { min: 1, max: 1_000_000 }),
  // 100,000 devices with fifty fields each. In standalone each takes about 100 bytes on disk and 5 in memory, for good.
  INGEST_TENANT_FIELDS: integer(5_000_000, 'The same for all devices of a tenant together.', {
    min: 1,
    max: 1_000_000_000,
  }),
  // A backlog of ten years in one go. A week costs a shard of InfluxDB, or a twelfth to a quarter of a file in standalone.
  INGEST_DEVICE_WEEKS: integer(
    600,
    'Weeks, beside that of now, that readings of a device received within an hour may be of; those of more are refused.',
    { min: 1, max: 100_000 },
  ),
  INGEST_CLOSE_MS: integer(
    5000,
    'Milliseconds that a stop waits for pending writes; what is not stored by then is read again at the next start.',
    { min: 0, max: 60_000 },
  ),
} as const
