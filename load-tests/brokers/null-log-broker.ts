import { pino } from 'pino'
import { brokerSettings } from '../../config/broker.ts'
import { createBroker, type Broker } from '../../services/broker/broker.ts'
import { loadConfig } from '../../shared/config.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { ReceiveClock } from '../../shared/stamps/receive-clock.ts'
import { openSqliteSessions } from '../../shared/sessions/sqlite/open.ts'
import { SAME_NAMES } from '../../shared/registry/names-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { CertificateFiles } from './window-client.ts'

/** Sluice's broker with a log that answers at once and a registry that knows everybody: what the gate itself costs. */
export async function startNullLogBroker(tls: CertificateFiles): Promise<Broker> {
  const log = {
    partitions: 1,
    partitionOf: () => 0,
    append: async () => new Map([[0, 0]]),
  } as unknown as TelemetryLog
  const registry = {
    verifySecret: async (username: string) => {
      const [tenant = '', device = ''] = username.split('/')
      return { kind: 'device', name: username, tenant, device, uid: device }
    },
    onChange: () => () => undefined,
    names: SAME_NAMES,
    policies: { epoch: 0, revisionOf: () => undefined },
    watches: { epoch: 0, untilMs: () => 0 },
  } as unknown as Registry
  const settings = {
    ...loadConfig(brokerSettings, {}),
    MQTT_PORT: 0,
    MQTT_TLS_PORT: 0,
    MQTT_TLS_CERT_FILE: tls.certificateFile,
    MQTT_TLS_KEY_FILE: tls.keyFile,
  }
  const logger = pino({ level: 'silent' })
  const metrics = createMetrics({ defaults: false })
  const onFailed = (error: Error): void => logger.error(error)
  const sessions = await openSqliteSessions({ file: ':memory:', maxSessions: 64, logger, metrics, onFailed })
  const broker = await createBroker({
    log,
    registry,
    clock: new ReceiveClock({ id: 0, after: undefined }),
    settings,
    logger,
    metrics,
    sessions,
  })
  const close = async (): Promise<void> => {
    await broker.close()
    await sessions.close()
  }
  return { ...broker, close }
}
