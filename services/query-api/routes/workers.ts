import Type from 'typebox'
import { inTime } from '../../../shared/in-time.ts'
import { INGEST_GROUP, type Repartition } from '../../../shared/log/port.ts'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'
import { Features } from './nodes.ts'

/** A log that hangs is answered with 503. */
const LIMIT_MS = 2_000

const Worker = Type.Object({
  id: Type.String(),
  host: Type.Union([Type.String(), Type.Null()], { description: 'Where it connects from; null in one process.' }),
  partitions: Type.Array(Type.Integer(), { description: 'Of the log, that it stores.' }),
  features: Features,
})

const Partition = Type.Object({
  partition: Type.Integer(),
  committed: Type.Integer({ description: 'Offset up to which everything is stored.' }),
  end: Type.Integer({ description: 'Offset that the next record gets.' }),
  records: Type.Integer({ description: 'Acknowledged and not stored yet.' }),
  seconds: Type.Number({ description: 'Age of the oldest of them.' }),
})

const RepartitionView = Type.Object({
  state: Type.Enum(['asked', 'pausing', 'switched'], {
    description:
      'asked, pausing: records go into as many as before; switched: into the new number, and wait there for those of before.',
  }),
  from: Type.Integer({ description: 'Partitions before.' }),
  to: Type.Integer({ description: 'And afterwards.' }),
  since: Type.String({ format: 'date-time' }),
})

/** The ingest workers, and how far they are. */
export function workerRoutes(app: Api, { workers, log }: ApiParts<'workers' | 'log'>): void {
  const schema = {
    tags: ['operation'],
    summary: 'The ingest workers that live, and the partitions of each; one that died is missing after 8 s',
    response: { 200: Type.Object({ workers: Type.Array(Worker) }), ...problemResponses },
  }
  app.get('/workers', { schema }, async () => ({
    workers: (await inTime(workers(), LIMIT_MS, 'log_unavailable')).map(({ id, host, partitions, features }) => {
      return { id, host: host ?? null, partitions: [...partitions], features: [...features] }
    }),
  }))

  const about = {
    tags: ['operation'],
    summary: 'The partitions of the log, and what of each is not stored yet',
    response: {
      200: Type.Object({
        partitions: Type.Array(Partition),
        repartition: Type.Union([RepartitionView, Type.Null()], { description: 'Where one is under way.' }),
      }),
      ...problemResponses,
    },
  }
  app.get('/log', { schema: about }, async () => ({
    partitions: (await inTime(log.lag('telemetry.raw', INGEST_GROUP), LIMIT_MS, 'log_unavailable')).map(
      ({ partition, committed, end, records, seconds }) => ({ partition, committed, end, records, seconds }),
    ),
    repartition: viewRepartition(log.repartition),
  }))
}

function viewRepartition(under: Repartition | undefined) {
  if (under === undefined) return null
  const { state, from, to, sinceMs } = under
  return { state, from, to, since: new Date(sinceMs).toISOString() }
}
