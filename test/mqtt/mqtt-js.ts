import { readFileSync } from 'node:fs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'
import type { Way } from './way.ts'

/** MQTT.js on any listener, which does not connect again. A port is one of this machine, without TLS. */
export function openJs(to: Way | number, options: IClientOptions): MqttClient {
  const { kind, port, ca, certificate }: Way = typeof to === 'number' ? { kind: 'tcp', port: to } : to
  const scheme = kind === 'tcp' ? 'mqtt' : kind === 'tls' ? 'mqtts' : kind
  const host = kind === 'tcp' ? '127.0.0.1' : 'localhost'
  const pem = ca === undefined ? {} : { ca: readFileSync(ca) }
  const pair =
    certificate === undefined ? {} : { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) }
  const web = kind === 'ws' || kind === 'wss' ? { wsOptions: { ...pem, ...pair } } : {}
  const defaults: IClientOptions = { reconnectPeriod: 0, connectTimeout: 30_000, protocolVersion: 4 }
  return mqtt.connect(`${scheme}://${host}:${port}`, { ...defaults, ...pem, ...pair, ...web, ...options })
}

export interface Inbox {
  readonly client: MqttClient
  /** CONNACK says that a session goes on. */
  readonly hasSession: boolean
  /** `topic payload qos[ retained]` */
  readonly messages: readonly string[]
}

/**
 * MQTT.js, connected, with what it receives: logged in as a/1 with its secret unless told otherwise. Rejects when it is
 * refused.
 */
export async function connectJs(
  to: Way | number,
  { withSecret = true, ...options }: IClientOptions & { withSecret?: boolean } = {},
): Promise<Inbox> {
  const secret = withSecret ? { username: 'a/1', password: 's' } : {}
  const client = openJs(to, { ...secret, ...options })
  onTestFinished(async () => {
    await client.endAsync(true)
  })
  const messages: string[] = []
  client.on('message', (topic, payload, { qos, retain }) => {
    messages.push(`${topic} ${payload.toString()} ${qos}${retain ? ' retained' : ''}`)
  })
  client.on('error', () => undefined)
  const hasSession = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
    client.once('error', reject)
    client.once('close', () => reject(new Error('closed without CONNACK')))
  })
  return { client, hasSession, messages }
}

/** Resolves when the client's connection is gone, whichever side ended it. */
export function gone({ client }: Inbox): Promise<void> {
  return new Promise((resolve) => (client.connected ? client.once('close', () => resolve()) : resolve()))
}
