import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'
import { brokerSettings } from '../../../config/broker.ts'
import { createBroker } from '../../../services/broker/broker.ts'
import { loadConfig } from '../../../shared/config.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { NewCredentials } from '../../../shared/registry/names.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { FakeLog, quiet } from '../../broker-harness.ts'
import { openMemorySessions } from '../../memory-sessions.ts'

/** A broker on a real registry, closed with the test. */
export async function startBrokerOn(registry: Registry) {
  const log = new FakeLog()
  const sessions = openMemorySessions(quiet)
  const broker = await createBroker({
    log: log.asPort(),
    registry,
    clock: new ReceiveClock({ id: 0, after: undefined }),
    settings: { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0 },
    logger: quiet,
    metrics: createMetrics({ defaults: false }),
    sessions,
  })
  onTestFinished(async () => {
    await broker.close()
    await sessions.close()
  })
  const { port } = broker.addresses.mqtt
  const connect = async (login: NewCredentials, options: IClientOptions = {}): Promise<MqttClient> => {
    const { username, secret: password } = login
    const client = await mqtt.connectAsync({
      host: '127.0.0.1',
      port,
      username,
      password,
      reconnectPeriod: 0,
      ...options,
    })
    onTestFinished(() => client.endAsync(true))
    return client
  }
  return { log, port, connect }
}
