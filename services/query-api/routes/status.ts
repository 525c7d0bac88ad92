import Type from 'typebox'
import { inTime } from '../../../shared/in-time.ts'
import { INGEST_GROUP, type PartitionLag, type TelemetryLog } from '../../../shared/log/port.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'

/** A log that does not answer in this time is shown as unknown. */
const LOG_LIMIT_MS = 2_000

const Unstored = Type.Object(
  {
    records: Type.Integer({ description: 'Acknowledged and not stored yet.' }),
    seconds: Type.Number({ description: 'Age of the oldest of them.' }),
    retention: Type.Union(
      [
        Type.Object({
          seconds: Type.Number({ description: 'Until the oldest of them is removed, at the earliest.' }),
          used: Type.Number({ description: 'Part of the retention that is used up; it is near from 0.5 on.' }),
        }),
        Type.Null(),
      ],
      { description: 'Null while nothing waits; the embedded log never removes what is not stored.' },
    ),
  },
  { description: 'What of the log is not stored yet; null while the log does not answer.' },
)

const Status = Type.Object({
  version: Type.String(),
  commit: Type.Union([Type.String(), Type.Null()], { description: 'Of Git; null when it is not known.' }),
  node: Type.String({ description: 'Version of Node.js.' }),
  mode: Type.Enum(['standalone', 'cluster']),
  mqtt: Type.Union([Type.Object({ host: Type.String(), port: Type.Integer() }), Type.Null()]),
  readings: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Stored since the start of this process; null in a cluster, where each worker counts its own.',
  }),
  unstored: Type.Union([Unstored, Type.Null()]),
})

/** What snippets on the page and in the CLI are filled in with, and what waits in the log. */
export function statusRoutes(app: Api, parts: ApiParts<'build' | 'status' | 'log' | 'logger'>): void {
  const { build, status, log, logger } = parts
  const schema = {
    tags: ['operation'],
    summary: 'Version, mode, where devices connect, and what waits in the log',
    response: { 200: Status, ...problemResponses },
  }
  app.get('/status', { schema }, async () => {
    const { mode, mqtt, readings } = status()
    const lag = await lagOf(log, logger)
    return {
      version: build.version,
      commit: build.commit ?? null,
      node: build.node,
      mode,
      mqtt: mqtt === undefined ? null : { ...mqtt },
      readings: readings ?? null,
      unstored: lag === undefined ? null : summaryOf(lag),
    }
  })
}

async function lagOf(log: Pick<TelemetryLog, 'lag'>, logger: Logger): Promise<readonly PartitionLag[] | undefined> {
  try {
    return await inTime(log.lag('telemetry.raw', INGEST_GROUP), LOG_LIMIT_MS, 'log_unavailable')
  } catch (error) {
    logger.debug({ err: error }, 'what waits in the log is unknown')
    return undefined
  }
}

function summaryOf(lag: readonly PartitionLag[]): Exclude<Type.Static<typeof Unstored>, null> {
  const horizons = lag.flatMap(({ horizon }) => horizon ?? [])
  const nearest = horizons.toSorted((a, b) => a.seconds - b.seconds)[0]
  return {
    records: lag.reduce((sum, { records }) => sum + records, 0),
    seconds: Math.max(0, ...lag.map(({ seconds }) => seconds)),
    retention: nearest === undefined ? null : { ...nearest },
  }
}
