import { describe, expect, it } from 'vitest'
import { MAX_FAILURES } from '../../../../shared/codecs/codec-calls.ts'
import { headersOf } from '../../../../shared/record.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000
/** A temperature and a battery of two bytes each; zero of the first byte is a message that it does not read. */
const SOURCE = `function decodeUplink({ bytes, fPort }) {
  if (bytes[0] === 255) return { errors: ['no such message'] }
  return { data: { temperature: ((bytes[0] << 8) | bytes[1]) / 10, port: fPort }, warnings: [], errors: [] }
}`

async function upload(world: World, source: string, options = {}): Promise<void> {
  const definition = { kind: 'codec', content: source, options } as const
  const { id } = await world.registry.decoders.put({ scope: 'demo', name: 'door', definition, who: 'test' })
  const { policies } = world.registry
  const from = (await policies.read('demo'))?.revision ?? 0
  await policies.put({ scope: 'demo', document: { decoder: `codec:door@${id}` }, from, who: 'test' })
}

async function publish(world: World, value: Uint8Array, ms: number): Promise<void> {
  const topic = { tenant: 'demo', device: 'first', stream: 'telemetry' }
  const headers = headersOf(topic, 'first', 't/demo/first/telemetry', world.registry.policies)
  const record: LogRecord = { key: 'demo/first', value, ms, ns: 0, headers }
  await world.log.append('telemetry.raw', [record])
}

function stored(world: World): string[] {
  return [...world.points.visible].map(([id, value]) => `${id}=${String(value)}`).sort()
}

function codesOf(world: World): string[] {
  return world.deadLetters().map(({ code }) => code)
}

const ttn = (bytes: Uint8Array) =>
  Buffer.from(
    JSON.stringify({
      end_device_ids: { device_id: 'x' },
      received_at: '2026-01-31T11:00:00.5Z',
      uplink_message: { f_port: 9, frm_payload: Buffer.from(bytes).toString('base64') },
    }),
  )
const chirpstack = (bytes: Uint8Array) =>
  Buffer.from(JSON.stringify({ time: '2026-01-31T11:30:00Z', fPort: 4, data: Buffer.from(bytes).toString('base64') }))

describe('codecs in the worker', () => {
  it('decode bytes, and what network servers send, at the time that those say', async () => {
    const world = new World()
    await upload(world, SOURCE, { port: 2 })
    const worker = await world.work()
    await publish(world, Buffer.of(0, 215), T)
    await publish(world, ttn(Buffer.of(0, 216)), T + 1)
    await publish(world, chirpstack(Buffer.of(0, 217)), T + 2)
    await publish(world, Buffer.of(255), T + 3)
    await world.settled()
    await worker.close()
    const all = stored(world)
    expect(all).toHaveLength(6)
    for (const [port, temperature, ms] of [
      [2, 21.5, T],
      [9, 21.6, Date.parse('2026-01-31T11:00:00.5Z')],
      [4, 21.7, Date.parse('2026-01-31T11:30:00Z')],
    ] as const) {
      expect(
        all.some((one) => one.includes('temperature') && one.includes(`@${ms}`) && one.endsWith(`=${temperature}`)),
      ).toBe(true)
      expect(all.some((one) => one.includes('port') && one.includes(`@${ms}`) && one.endsWith(`=${port}`))).toBe(true)
    }
    expect(codesOf(world)).toEqual(['codec_failed'])
  })

  it('decode what was read before as it was, when another one is in force: over a kill nothing changes', async () => {
    const world = new World()
    await upload(world, SOURCE)
    const first = await world.work()
    for (let i = 0; i < 50; i++) await publish(world, Buffer.of(1, i), T + i)
    await world.settled()
    const before = stored(world)
    await upload(world, 'function Decoder(bytes) { return { other: bytes[1] } }')
    await publish(world, Buffer.of(1, 7), T + 100)
    await world.settled()
    await first.close()
    const after = stored(world)
    expect(after.filter((one) => !one.includes('other'))).toEqual(before)
    // As after a kill: everything is read again.
    world.log.committed.fill(0)
    const second = await world.work()
    await world.settled()
    await second.close()
    expect(stored(world)).toEqual(after)
  })

  it('that fail all the time are paused, which the status says, until one is uploaded', async () => {
    const world = new World()
    await upload(world, 'function Decoder() { throw new Error("boom") }')
    const worker = await world.work()
    for (let i = 0; i <= MAX_FAILURES; i++) await publish(world, Buffer.of(1), T + i)
    await world.settled()
    expect(worker.status()).toMatchObject({
      ok: true,
      detail: expect.stringContaining('codec_paused: codec:door@') as string,
    })
    const codes = codesOf(world)
    expect([codes.at(-2), codes.at(-1)]).toEqual(['codec_failed', 'codec_paused'])
    await upload(world, SOURCE)
    expect(worker.status()).toEqual({ ok: true })
    await worker.close()
  })
})
