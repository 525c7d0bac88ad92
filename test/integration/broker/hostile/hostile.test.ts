import { expect, it } from 'vitest'
import { startBroker, EVERYTHING, type Harness } from '../../../broker-harness.ts'
import { logIn } from '../../../mqtt/packet-client.ts'
import { packet } from '../../../mqtt/packets.ts'
import { ACKNOWLEDGEMENTS } from './acknowledgements.ts'
import { HOSTILE, STATUS, type HostileCase } from './cases.ts'
import { CONNECTS } from './connects.ts'
import { FIXED_HEADER } from './fixed-header.ts'
import { BEFORE, BEHIND, mistakeOf, playAll } from './playing.ts'
import { PUBLISHES } from './publishes.ts'
import { SUBSCRIPTIONS } from './subscriptions.ts'
import { APPLICATIONS, TEXTS } from './texts.ts'

const CASES: readonly HostileCase[] = [
  ...FIXED_HEADER,
  ...CONNECTS,
  ...TEXTS,
  ...PUBLISHES,
  ...SUBSCRIPTIONS,
  ...ACKNOWLEDGEMENTS,
]

const TYPES = ['connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'subscribe', 'suback']
const MORE_TYPES = ['unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth']

/** As the metric names the type of the last packet of a case. */
function typeOf(bytes: Buffer): string {
  return ['unknown', ...TYPES, ...MORE_TYPES][(bytes[0] ?? 0) >> 4] ?? ''
}

it('no case is there twice, and each begins with its clause', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(1_488)
  expect(repeated(CASES.map(({ name }) => name))).toEqual([])
  expect(repeated(CASES.map(({ stage, bytes }) => `${stage} ${bytes.toString('hex')}`))).toEqual([])
  expect(CASES.filter(({ name }) => !/^\[(MQTT-)?\d[\w.-]*(, (MQTT-)?\d[\d.-]*)?\] ./.test(name))).toEqual([])
})

it('each is answered as its clause wants it; nothing of it is stored, delivered or acknowledged, and all is counted', async () => {
  const harness = await startHostile()
  const { port, log, broker } = harness
  const watcher = await logIn(port, { username: 'app', clientId: 'watcher' })
  watcher.send(packet.subscribe(1, ['#', 0]))
  const witness = await logIn(port, { username: 'a/2', clientId: 'witness' })

  const played = await playAll(port, CASES)

  witness.send(packet.publish('t/a/2/status', 'alive', { qos: 2, id: 1 }), packet.pubrel(1), packet.pingreq)
  await witness.until(() => witness.packets.length >= 4)
  expect(witness.texts.toSorted()).toEqual(['connack 0 0', 'pingresp', 'pubcomp 1', 'pubrec 1'])
  const alive = 'publish t/a/2/status alive q0'
  await watcher.until(() => watcher.texts.includes(alive))

  // Now, so that what came late is seen too.
  expect(played.map(mistakeOf).filter((mistake) => mistake !== undefined)).toEqual([])
  const delivered = watcher.texts
  expect(delivered.filter((it) => it.includes(HOSTILE) || it.includes(BEHIND))).toEqual([])
  expect(delivered.some((it) => it.startsWith(`publish ${STATUS}/\ufeffx `))).toBe(true)
  const payloads = log.records.map(({ value }) => Buffer.from(value ?? []).toString())
  expect(payloads.filter((payload) => payload.includes(HOSTILE) || payload.includes(BEHIND))).toEqual([])
  const loggedIn = CASES.filter(({ stage }) => stage !== 'first').length
  expect(payloads.filter((payload) => payload === BEFORE)).toHaveLength(loggedIn)
  await expectCounted(harness)
  const living = CASES.filter(({ lives }) => lives).length
  await expect.poll(() => broker.status()).toMatchObject({ clients: living + 2, inFlight: 0 })
})

it('what a client that has logged in may not send is refused as the first packet too', async () => {
  const { port, log, broker, metric } = await startHostile()
  const cases = CASES.filter(({ stage, bytes }) => stage === 'logged in' && typeOf(bytes) !== 'connect')
  const asFirst = cases.map((it): HostileCase => ({ ...it, stage: 'first', answers: [], lives: false }))
  const played = await playAll(port, asFirst)
  expect(played.map(mistakeOf).filter((mistake) => mistake !== undefined)).toEqual([])
  expect(log.records).toEqual([])
  expect(await metric('sluice_broker_violations_total')).toBe(asFirst.length)
  await expect.poll(() => broker.status().clients).toBe(0)
})

async function startHostile(): Promise<Harness> {
  const harness = await startBroker({ REFUSED_WILL: 'close' })
  for (const name of APPLICATIONS) harness.registry.applications.set(name, EVERYTHING)
  return harness
}

/** By type of packet and by error. */
async function expectCounted({ metric }: Harness): Promise<void> {
  const wordless = CASES.filter(({ lives, answers }) => !lives && !answers.some((it) => /^connack 0 [1-5]$/.test(it)))
  for (const packet of new Set(wordless.map(({ bytes }) => typeOf(bytes)))) {
    const due = wordless.filter(({ bytes }) => typeOf(bytes) === packet).length
    expect([packet, await metric('sluice_broker_violations_total', { packet })]).toEqual([packet, due])
  }
  const count = (answer: string): number => CASES.filter(({ answers }) => answers.includes(answer)).length
  expect(await metric('sluice_broker_violations_total')).toBe(wordless.length)
  expect(await metric('sluice_broker_refused_total', { code: 'protocol_violation' })).toBe(wordless.length)
  expect(await metric('sluice_broker_refused_total', { code: 'protocol_version' })).toBe(count('connack 0 1'))
  expect(await metric('sluice_broker_refused_total', { code: 'client_id_invalid' })).toBe(count('connack 0 2'))
}

function repeated(texts: readonly string[]): string[] {
  return texts.filter((text, index) => texts.indexOf(text) !== index)
}
