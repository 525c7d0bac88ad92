import { execFileSync } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { DEFAULT_STREAM, formatTelemetryTopic } from '../../../../shared/topics.ts'
import { HOSTILE_NAMES } from '../../../names.ts'
import { isLoopback, quote, shell, SNIPPETS } from '../../../../services/query-api/public/snippets.js'

const target = {
  host: '192.0.2.7',
  mqttPort: 18_830,
  origin: 'http://192.0.2.7:18080',
  tenant: 'plant',
  device: 'pump-1',
  secret: 'Zk3v9Qm2sT7xW1yB4nR8pA',
  token: 'slt_8f3Kd02mXqPz71LwVbNtYs',
}

describe('every snippet', () => {
  it.each(SNIPPETS)('$id holds the host, the device and its credentials', ({ id, render }) => {
    const text = render(target)
    expect(text).toContain(target.host)
    expect(text).toContain(id === 'curl' ? target.token : target.secret)
    expect(text).toContain(String(id === 'curl' ? 18_080 : target.mqttPort))
    expect(text).toContain(id === 'tasmota' ? 'FullTopic t/plant/%topic%/%prefix%/' : 'plant/pump-1')
  })

  it.each(HOSTILE_NAMES)('topic and path of %j are those of the device', (device) => {
    const named = { ...target, device }
    const text = (id: string) => SNIPPETS.find((snippet) => snippet.id === id)?.render(named) ?? ''
    const topic = formatTelemetryTopic({ tenant: 'plant', device, stream: DEFAULT_STREAM })
    expect(text('mosquitto')).toContain(`-t ${shell(topic)}`)
    expect(text('python')).toContain(quote(topic))
    const [, url = ''] = /'(http[^']*)'/.exec(text('curl')) ?? []
    expect(decodeURIComponent(new URL(url).pathname.split('/')[4] ?? '')).toBe(device)
    // Whatever ends a command there would begin another one.
    expect(text('tasmota').includes(device)).toBe(/^[A-Za-z0-9_.-]+$/.test(device))
  })

  it('what Tasmota sends becomes what its note says', () => {
    const key = 'plant/pump-1'
    const sent = { SENSOR: '{"Time":"2026-01-31T12:00:00","DHT11":{"Temperature":21.5}}', LWT: 'Online' }
    const records = Object.entries(sent).map(([stream, payload]) => {
      const topic = formatTelemetryTopic({ tenant: 'plant', device: 'pump-1', stream })
      return { key, value: Buffer.from(payload), ms: 1_769_860_800_000, ns: 0, headers: { topic } }
    })
    const { points, faults, suspects } = decodeRecords(records, new SeriesTable())
    expect(points.series.map(({ stream, field }, i) => [stream, field, points.values[i]])).toEqual([
      ['SENSOR', 'Time', '2026-01-31T12:00:00'],
      ['SENSOR', 'DHT11.Temperature', 21.5],
      ['LWT', 'value', 'Online'],
    ])
    expect(points.ms).toEqual([1, 1, 1].map(() => 1_769_860_800_000))
    expect(faults.size).toBe(0)
    expect(suspects.map(({ code }) => code)).toEqual(['time_without_zone'])
    const { note = '' } = SNIPPETS.find(({ id }) => id === 'tasmota') ?? {}
    expect(note).toContain('Its times have no zone')
    expect(note).not.toMatch(/reject/)
  })

  it('an IPv6 host has brackets in addresses only', () => {
    const texts = new Map(SNIPPETS.map(({ id, render }) => [id, render({ ...target, host: '::1' })]))
    expect(texts.get('node')).toContain('mqtt://[::1]:18830')
    expect(texts.get('mosquitto')).toContain("-h '::1'")
  })
})

describe('quoting', () => {
  it('gives a shell back what went in', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(texts, (raw) => {
        const words = raw.map((text) => text.replaceAll('\0', ''))
        const out = execFileSync('sh', ['-c', `printf '%s\\0' ${words.map(shell).join(' ')}`]).toString()
        return isDeepStrictEqual(out.split('\0').slice(0, -1), words)
      }),
      { numRuns: 30 },
    )
  })

  it('escapes what would end a literal', () => {
    expect(quote('a"b\\c\n')).toBe(String.raw`"a\"b\\c\n"`)
  })
})

it('knows the addresses that only this computer reaches', () => {
  expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true)
  expect(['192.168.1.4', 'sluice.local', '10.127.0.1'].some(isLoopback)).toBe(false)
})
