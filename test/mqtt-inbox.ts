import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'

export interface Inbox {
  readonly client: MqttClient
  /** `topic payload qos[ retained]` */
  readonly messages: string[]
}

/** MQTT.js, connected, with what it receives. */
export async function connect(port: number, username: string, options: IClientOptions = {}): Promise<Inbox> {
  const client = mqtt.connect({
    ...{ port, host: '127.0.0.1', username, password: 's', reconnectPeriod: 0, protocolVersion: 4 },
    ...options,
  })
  onTestFinished(async () => {
    await client.endAsync(true)
  })
  const messages: string[] = []
  client.on('message', (topic, payload, { qos, retain }) => {
    messages.push(`${topic} ${payload.toString()} ${qos}${retain ? ' retained' : ''}`)
  })
  client.on('error', () => undefined)
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
  })
  return { client, messages }
}

/** Resolves when the client's connection is gone, whoever ended it. */
export function gone({ client }: Inbox): Promise<void> {
  return new Promise((resolve) => (client.connected ? client.once('close', () => resolve()) : resolve()))
}
