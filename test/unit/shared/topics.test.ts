import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  deviceKey,
  fieldKey,
  formatTelemetryTopic,
  isName,
  parseDeviceKey,
  parseTelemetryTopic,
  streamKey,
} from '../../../shared/topics.ts'

const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/)

describe('telemetry topics', () => {
  it('parse what was formatted', () => {
    fc.assert(
      fc.property(name, name, name, (tenant, device, stream) => {
        const topic = { tenant, device, stream }
        expect(parseTelemetryTopic(formatTelemetryTopic(topic))).toEqual(topic)
      }),
    )
  })

  it('format what was parsed, but for the long form of the default stream', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(name, fc.constantFrom('t', 'telemetry', '', '+', 'é')), { maxLength: 6 }),
        (levels) => {
          const topic = levels.join('/')
          const parsed = parseTelemetryTopic(topic)
          if (parsed === undefined) return
          expect([formatTelemetryTopic(parsed), `${formatTelemetryTopic(parsed)}/telemetry`]).toContain(topic)
        },
      ),
    )
  })

  it.each([
    'telemetry',
    't/a/telemetry',
    't/a/b/status',
    't/a/b/telemetry/',
    't/a/b/telemetry/x/y',
    '/t/a/b/telemetry',
    't//b/telemetry',
    't/a/b c/telemetry',
    't/a/+/telemetry',
    `t/a/${'x'.repeat(65)}/telemetry`,
    't/a/b\n/telemetry',
    'T/a/b/telemetry',
  ])('%j is none', (topic) => {
    expect(parseTelemetryTopic(topic)).toBeUndefined()
  })
})

describe('device keys', () => {
  it('parse what was formatted, and nothing else', () => {
    fc.assert(
      fc.property(name, name, (tenant, device) => {
        expect(parseDeviceKey(deviceKey(tenant, device))).toEqual({ tenant, device })
        expect(parseDeviceKey(`${tenant}${device}`)).toBeUndefined()
        expect(parseDeviceKey(`${tenant}/${device}/x`)).toBeUndefined()
      }),
    )
  })

  it('names are ASCII and keep to their length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 70 }), (text) => {
        expect(isName(text)).toBe(text.length >= 1 && text.length <= 64 && !/[^A-Za-z0-9_.-]/.test(text))
      }),
    )
  })
})

it('no two streams have the same key, and no two fields', () => {
  // Names of two letters and parts that look alike, so that equal keys would be met.
  const short = fc.stringMatching(/^[a.]{1,2}$/)
  const field = fc.stringMatching(/^[a./]{1,4}$/)
  const names = fc.record({ tenant: short, device: short, stream: short, field })
  fc.assert(
    fc.property(names, names, (a, b) => {
      const isSame = (...parts: (keyof typeof a)[]): boolean => parts.every((part) => a[part] === b[part])
      expect(streamKey(a) === streamKey(b)).toBe(isSame('tenant', 'device', 'stream'))
      expect(fieldKey(a) === fieldKey(b)).toBe(isSame('tenant', 'stream', 'field'))
    }),
    { numRuns: 2_000 },
  )
})
