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
  INGEST_CHECKPOINT_RECORDS: integer(20_000, 'Records after which a checkpoint is made early.', {
    min: 1,
    max: 1_000_000,
  }),
  INGEST_LATEST_STREAMS: integer(50_000, 'Streams whose latest values are kept in memory, about 1 KB each.', {
    min: 1000,
    max: 10_000_000,
  }),
  INGEST_CLOSE_MS: integer(
    5000,
    'Milliseconds that a stop waits for pending writes; what is not stored by then is read again at the next start.',
    { min: 0, max: 60_000 },
  ),
} as const
