import { join } from 'node:path'
import pino from 'pino'
import { standaloneSettings } from '../../../config/standalone.ts'
import { loadConfig } from '../../../shared/config.ts'
import { CertificateFolder } from '../../../shared/certificates/certificate-folder.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import { INGEST_GROUP } from '../../../shared/log/port.ts'
import { EMBEDDED, startStandalone } from '../../../services/standalone/main.ts'
import type { StartFacts } from '../../../services/standalone/banner.ts'
import type { Ports } from '../../../services/standalone/services.ts'
import { overriding } from '../../../load-tests/reference/overriding.ts'

/** Less than settings may say: the log begins a new file after half a megabyte. */
const LOG_MB = 8

export interface SmallServer {
  readonly url: string
  readonly token: string
  readonly mqttPort: number
  /** Lines of the process's log at `warn` and above. */
  readonly log: () => string
  /** Of a metric, over all labels. */
  readonly metric: (name: string) => Promise<number>
  /** Resolves when everything in the log is stored, and committed. */
  readonly settled: () => Promise<void>
  close(): Promise<void>
}

/**
 * A standalone in this process, with a small log. With `isStuck`
 * nothing is stored: what is acknowledged stays in the log. Error: why it does not start.
 */
export async function startSmallServer(folder: string, { isStuck = false } = {}): Promise<SmallServer> {
  const settings = { MQTT_PORT: '0', HTTP_PORT: '0', INGEST_CHECKPOINT_MS: '20', INGEST_CLOSE_MS: '0' }
  const tls = { MQTT_TLS_PORT: 0, ...new CertificateFolder(join(folder, 'tls')).settings }
  const config = {
    ...loadConfig(standaloneSettings, { ...settings, DATA_DIR: folder }),
    LOG_RETENTION_MB: LOG_MB,
    ...tls,
  }
  const lines: string[] = []
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const metrics = createMetrics({ defaults: false })
  const releasers = new Releasers()
  const fail = (error: unknown): void => logger.fatal({ code: toSluiceError(error).code }, 'the process ends')
  let ports: Ports | undefined
  let facts: StartFacts | undefined
  try {
    const announce = (told: StartFacts): void => void (facts = told)
    const openPorts: typeof EMBEDDED.openPorts = async (context) => {
      const opened = await EMBEDDED.openPorts(context)
      const write = () => new Promise<never>(() => {})
      ports = isStuck ? { ...opened, points: overriding(opened.points, { write }) } : opened
      return ports
    }
    await startStandalone(
      { config, folder, logger, metrics, releasers, fail },
      { lan: false, announce },
      { ...EMBEDDED, openPorts },
    )
  } catch (error) {
    await releasers.close()
    throw error
  }
  const metric = async (name: string): Promise<number> => {
    const values = (await metrics.getSingleMetric(name)?.get())?.values ?? []
    return values.reduce((total, { value }) => total + value, 0)
  }
  const isSettled = async (): Promise<boolean> => {
    const lag = (await ports?.log.lag('telemetry.raw', INGEST_GROUP)) ?? []
    return lag.every(({ committed, end }) => committed === end)
  }
  return {
    url: `http://127.0.0.1:${facts?.http.port}`,
    token: facts?.first.token ?? '',
    mqttPort: facts?.mqtt.port ?? 0,
    log: () => lines.join(''),
    metric,
    settled: async () => {
      while (!(await isSettled())) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    close: () => releasers.close(),
  }
}
