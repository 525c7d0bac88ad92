import { integer } from '../shared/config.ts'

/** How long points may be gathered; a server takes 1,000 points in one request at a twentieth of what they cost singly. */
export const lingerMs = (fallback: number) =>
  integer(fallback, 'Milliseconds that decoded points may wait until 1,000 go together in one write.', {
    min: 0,
    max: 1000,
  })

/** Settings of the ingest worker; the defaults suit one node. */
export const ingestWorkerSettings = {
  INGEST_BATCH_RECORDS: integer(2000, 'Records that are taken from the log at once, per partition.', {
    min: 1,
    max: 10_000,
  }),
  INGEST_WRITE_POINTS: integer(5000, 'Points per write to the store; batches of the log are combined up to this.', {
    min: 1,
    max: 50_000,
  }),
  INGEST_LINGER_MS: lingerMs(0),
  INGEST_CHECKPOINT_MS: integer(
    1000,
    'Milliseconds after which what was stored is made durable and its offsets are committed.',
    { min: 10, max: 5000 },
  ),
  INGEST_CHECKPOINT_RECORDS: integer(20_000, 'Records after which the same happens early.', {
    min: 1,
    max: 1_000_000,
  }),
  INGEST_LATEST_STREAMS: integer(50_000, 'Streams whose latest state is kept in memory, about 1 KB each.', {
    min: 1000,
    max: 10_000_000,
  }),
  INGEST_CLOSE_MS: integer(
    5000,
    'Milliseconds that a stop waits for stores; what is not stored then is read again at the next start.',
    { min: 0, max: 60_000 },
  ),
} as const
