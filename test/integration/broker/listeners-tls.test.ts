import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { BrokerSettings } from '../../../config/broker.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { TestAuthority } from '../../certificates.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { packet } from '../../mqtt/packets.ts'
import { wayTo } from '../../mqtt/way.ts'
import { PATIENCE } from '../../patience.ts'

/** Files are read again every 2 s. */
const RELOADED = { ...PATIENCE, interval: 100 }
const TICKET_KEY = 'a secret that several nodes of a cluster share'

async function startTls(
  settings: Partial<BrokerSettings> = {},
): Promise<{ authority: TestAuthority; harness: Harness }> {
  const authority = await TestAuthority.make()
  return { authority, harness: await startBroker({ ...authority.settings, ...settings }) }
}

interface Answer {
  /** The first bytes of the broker, hexadecimal; empty when it closed without one. */
  readonly bytes: string
  readonly error: string | undefined
  readonly protocol: string | null
  readonly resumed: boolean
  readonly session: Buffer | undefined
}

/** Sends a CONNECT over TLS and says what came of it. */
function say({ broker }: Harness, ca: string, options: ConnectionOptions = {}): Promise<Answer> {
  const port = broker.addresses.tls?.port ?? 0
  const socket: TLSSocket = connect({ port, host: 'localhost', ca: readFileSync(ca), ...options })
  onTestFinished(() => void socket.destroy())
  let bytes = Buffer.alloc(0)
  let session: Buffer | undefined
  let error: string | undefined
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const facts = () => ({ protocol: socket.getProtocol(), resumed: socket.isSessionReused(), session })
  let seen = { protocol: null, resumed: false, session } as ReturnType<typeof facts>
  const finish = () => resolve({ bytes: bytes.toString('hex'), error, ...seen, session })
  socket.on('session', (ticket) => (session = ticket))
  socket.on('secureConnect', () => {
    seen = facts()
    socket.write(packet.connect())
  })
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (bytes.length >= 4) socket.end(packet.disconnect())
  })
  socket.on('error', (failure: NodeJS.ErrnoException) => (error = failure.code ?? failure.message))
  socket.on('close', finish)
  return promise
}

const CONNACK = '20020000'

function pair({ cert, key }: { cert: string; key: string }): ConnectionOptions {
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

describe('TLS', () => {
  it('prefers 1.3, takes 1.2 with forward secrecy, and nothing older or weaker', async () => {
    const { authority, harness } = await startTls()
    expect(await say(harness, authority.ca)).toMatchObject({ bytes: CONNACK, protocol: 'TLSv1.3' })
    expect(await say(harness, authority.ca, { maxVersion: 'TLSv1.2' })).toMatchObject({
      bytes: CONNACK,
      protocol: 'TLSv1.2',
    })
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    expect(await say(harness, authority.ca, old)).toMatchObject({
      bytes: '',
      error: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    })
    const weak = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' } as const
    expect(await say(harness, authority.ca, weak)).toMatchObject({ bytes: '' })
    expect(await harness.metric('sluice_broker_connections_turned_away_total', { reason: 'tls_failed' })).toBe(2)
  })

  it('resumes sessions on every node that has the ticket key, and on no other', async () => {
    const { authority, harness } = await startTls({ MQTT_TLS_TICKET_KEY: TICKET_KEY })
    const second = await startBroker({ ...authority.settings, MQTT_TLS_TICKET_KEY: TICKET_KEY })
    const stranger = await startBroker({ ...authority.settings })
    const { session, resumed } = await say(harness, authority.ca)
    expect(resumed).toBe(false)
    const again = session === undefined ? {} : { session }
    expect(await say(second, authority.ca, again)).toMatchObject({ bytes: CONNACK, resumed: true })
    expect(await say(stranger, authority.ca, again)).toMatchObject({ bytes: CONNACK, resumed: false })
    expect(await second.metric('sluice_broker_tls_handshakes_total', { kind: 'resumed' })).toBe(1)
  })

  it('says when its certificate ends', async () => {
    const { authority, harness } = await startTls()
    const end = authority.folder.list().find(({ kind }) => kind === 'server')?.notAfter ?? ''
    expect(await harness.metric('sluice_broker_certificate_expiry_seconds', { certificate: 'server' })).toBe(
      Date.parse(end) / 1000,
    )
  })

  it('does not start on files that do not fit, and names the variable', async () => {
    const authority = await TestAuthority.make()
    const { key } = await authority.device('a/1')
    const { settings } = authority
    const wrong = async (change: Partial<BrokerSettings>) =>
      expect(startBroker({ ...settings, ...change })).rejects.toMatchObject({
        code: 'setting_invalid',
        message: expect.stringContaining(Object.keys(change)[0] ?? '') as string,
      })
    await wrong({ MQTT_TLS_KEY_FILE: key })
    await wrong({ MQTT_TLS_CERT_FILE: '/nowhere/server.crt' })
    await wrong({ MQTT_TLS_KEY_FILE: settings.MQTT_TLS_CERT_FILE ?? '' })
    await wrong({ MQTT_TLS_CRL_FILE: settings.MQTT_TLS_CERT_FILE ?? '', MQTT_TLS_CLIENT_AUTH: 'require' })
    await wrong({ MQTT_TLS_TICKET_KEY: 'short' })
  })
})

describe('replacing certificates', () => {
  it('disconnects nobody, and new connections see the new one', async () => {
    const { authority, harness } = await startTls()
    const way = wayTo(harness, 'tls', { ca: authority.ca })
    const devices = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        return (await connectJs(way, { username: `a/${n + 1}`, clientId: `c${n}` })).client
      }),
    )
    let closed = 0
    let sent = 0
    let going = true
    const load = devices.map(async (device, n) => {
      device.on('close', () => (closed += 1))
      while (going) {
        await device.publishAsync(`t/a/${n + 1}/telemetry`, '{"n":1}', { qos: 1 })
        sent += 1
      }
    })
    const before = await serialOf(harness, authority)
    await authority.folder.renew(['server'])
    await expect.poll(() => serialOf(harness, authority), RELOADED).not.toBe(before)
    const atSwap = sent
    await expect.poll(() => sent).toBeGreaterThan(atSwap + 100)
    going = false
    await Promise.all(load)
    expect(closed).toBe(0)
    expect(harness.log.records).toHaveLength(sent)
  })

  it('keeps the old ones while the new ones are wrong, and counts', async () => {
    const { authority, harness } = await startTls()
    const { cert, key } = await authority.device('a/1')
    const file = authority.settings.MQTT_TLS_KEY_FILE ?? ''
    const good = readFileSync(file)
    copyFileSync(key, file)
    const refused = () => harness.metric('sluice_broker_tls_reloads_total', { result: 'refused' })
    await expect.poll(refused, RELOADED).toBe(1)
    expect((await say(harness, authority.ca)).bytes).toBe(CONNACK)
    writeFileSync(file, good)
    expect(readFileSync(cert).length).toBeGreaterThan(0)
    await authority.folder.renew(['server'])
    await expect.poll(() => harness.metric('sluice_broker_tls_reloads_total', { result: 'taken' }), RELOADED).toBe(1)
    expect((await say(harness, authority.ca)).bytes).toBe(CONNACK)
  })
})

async function serialOf({ broker }: Harness, { ca }: TestAuthority): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ port: broker.addresses.tls?.port ?? 0, host: 'localhost', ca: readFileSync(ca) }, () => {
    resolve(socket.getPeerCertificate().serialNumber)
    socket.destroy()
  })
  socket.on('error', reject)
  return promise
}

describe('client certificates', () => {
  it('are refused when they are expired, of another authority, revoked, or those of a server', async () => {
    const { authority, harness } = await startTls({ MQTT_TLS_CLIENT_AUTH: 'require' })
    const other = await TestAuthority.make()
    const good = await authority.device('a/1')
    await authority.device('a/2')
    const expired = await authority.device('a/3', -0.01)
    expect((await say(harness, authority.ca, pair(good))).bytes).toBe(CONNACK)
    expect((await say(harness, authority.ca, pair(expired))).bytes).toBe('')
    expect((await say(harness, authority.ca, pair(await other.device('a/1')))).bytes).toBe('')
    const { MQTT_TLS_CERT_FILE: cert = '', MQTT_TLS_KEY_FILE: key = '' } = authority.settings
    expect((await say(harness, authority.ca, pair({ cert, key }))).bytes).toBe('')
    expect((await say(harness, authority.ca)).bytes).toBe('')
    await expect
      .poll(() => harness.log.letters.map(({ code, detail, who }) => [code, detail, who]))
      .toEqual([
        ['certificate_refused', 'CERT_HAS_EXPIRED', 'a/3'],
        ['certificate_refused', expect.stringMatching(/UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|SIGNATURE/), 'a/1'],
        ['certificate_refused', expect.stringMatching(/PURPOSE/), 'localhost'],
        ['certificate_refused', 'a client certificate is required', ''],
      ])
  })

  it('that are revoked end their connection, and resume no session', async () => {
    const { authority, harness } = await startTls({ MQTT_TLS_CLIENT_AUTH: 'request' })
    const certificate = await authority.device('a/1')
    const first = await say(harness, authority.ca, pair(certificate))
    const session = first.session === undefined ? {} : { session: first.session }
    expect(await say(harness, authority.ca, { ...pair(certificate), ...session })).toMatchObject({ resumed: true })
    const { client: device } = await connectJs(wayTo(harness, 'tls', { ca: authority.ca, certificate }))
    const closed = new Promise<void>((resolve) => device.once('close', resolve))
    await authority.folder.revoke('a/1')
    await closed
    const after = await say(harness, authority.ca, { ...pair(certificate), ...session })
    expect(after).toMatchObject({ bytes: '', resumed: false })
    // Both are counted; the second is not worth a letter of its own within the minute.
    const reason = { reason: 'certificate_refused' }
    await expect.poll(() => harness.metric('sluice_broker_connections_turned_away_total', reason)).toBe(2)
    expect(harness.log.letters.map(({ detail }) => detail)).toEqual(['the certificate was revoked'])
    // Without one a client may still log in with its secret.
    expect((await say(harness, authority.ca)).bytes).toBe(CONNACK)
  })
})
