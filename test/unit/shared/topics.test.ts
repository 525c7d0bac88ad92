import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isTopicName } from '../../../shared/topic-filter.ts'
import {
  deviceKey,
  faultOfTopic,
  fieldKey,
  formatTelemetryTopic,
  parseDeviceKey,
  parseDeviceTopic,
  parseTelemetryTopic,
  streamKey,
  topicOfDevice,
  whyUnknown,
} from '../../../shared/topics.ts'
import { tenantName, wideName } from '../../names.ts'

describe('telemetry topics', () => {
  it('parse what was formatted', () => {
    fc.assert(
      fc.property(tenantName, wideName, wideName, (tenant, device, stream) => {
        const names = { tenant, device, stream }
        const topic = formatTelemetryTopic(names)
        expect(isTopicName(topic)).toBe(true)
        expect(parseTelemetryTopic(topic)).toEqual(names)
        expect(parseDeviceTopic(topic)).toEqual({ tenant, device })
        expect(topic.startsWith(`${topicOfDevice(tenant, device)}/`)).toBe(true)
        expect(faultOfTopic(topic)).toBeUndefined()
      }),
    )
  })

  it('format what was parsed, but for the long form of the default stream', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(wideName, fc.constantFrom('t', 'telemetry', '', '+', 'é', '%2F')), { maxLength: 6 }),
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
    't/a b/c/telemetry',
    't/é/b/telemetry',
    't/a/%2f/telemetry',
    't/a/b/telemetry/%20',
    't/a/+/telemetry',
    `t/a/${'x'.repeat(129)}/telemetry`,
    't/a/b\n/telemetry',
    'T/a/b/telemetry',
  ])('%j is none', (topic) => {
    expect(parseTelemetryTopic(topic)).toBeUndefined()
  })
})

describe('a topic below t/ with a name that is none', () => {
  it.each([
    [
      't/a/K%C3%BCche/telemetry',
      'topic_encoding_invalid',
      'the device "K%C3%BCche" is not encoded as names are: was "Küche" meant?',
    ],
    ['t/a/x%2fy/status', 'topic_encoding_invalid', 'was "x%2Fy" meant?'],
    ['t/a/50%/cmd/x', 'topic_encoding_invalid', 'was "50%25" meant?'],
    [
      't/a/b/telemetry/a%20b',
      'topic_encoding_invalid',
      'the stream "a%20b" is not encoded as names are: was "a b" meant?',
    ],
    ['t/a/b/telemetry/', 'topic_unknown', 'the stream is empty'],
    [`t/a/${'x'.repeat(129)}/status`, 'topic_unknown', 'is longer than 128 bytes'],
  ])('%j', (topic, code, said) => {
    expect(faultOfTopic(topic)).toMatchObject({ code, detail: expect.stringContaining(said) as unknown })
  })

  it.each(['a/%zz/b', 't/a', 't/a/b', 't/a/b/status/%zz', 't/a/Küche 1/status'])('%j has none', (topic) => {
    expect(faultOfTopic(topic)).toBeUndefined()
  })
})

describe('device keys', () => {
  it('parse what was formatted, whatever slashes are in the device', () => {
    fc.assert(
      fc.property(tenantName, wideName, (tenant, device) => {
        expect(parseDeviceKey(deviceKey(tenant, device))).toEqual({ tenant, device })
        expect(parseDeviceKey(tenant)).toBeUndefined()
      }),
    )
  })
})

it('no two streams have the same key, and no two fields', () => {
  // Names of two letters and parts that look alike, so that equal keys would be met.
  const short = fc.stringMatching(/^[a.]{1,2}$/)
  const field = fc.stringMatching(/^[a./]{1,4}$/)
  const wide = fc.stringMatching(/^[a./%2F]{1,4}$/)
  const names = fc.record({ tenant: short, device: wide, stream: wide, field })
  fc.assert(
    fc.property(names, names, (a, b) => {
      const isSame = (...parts: (keyof typeof a)[]): boolean => parts.every((part) => a[part] === b[part])
      expect(streamKey(a) === streamKey(b)).toBe(isSame('tenant', 'device', 'stream'))
      expect(fieldKey(a) === fieldKey(b)).toBe(isSame('tenant', 'stream', 'field'))
    }),
    { numRuns: 2_000 },
  )
})

describe('a topic below t/ that is none of those of a device names the level', () => {
  it.each([
    ['t', 'level 2, the tenant, is missing'],
    ['t/a b/c/telemetry', 'level 2, the tenant "a b", is not 1 to 64 characters'],
    ['t//c/telemetry', 'level 2, the tenant "", is not'],
    ['t/a', 'level 3, the device, is missing'],
    ['t/a/b', 'level 4 is missing: it must be telemetry, status, cmd or notice'],
    ['t/a/b/Telemetry', 'level 4 is "Telemetry": it must be telemetry, status, cmd or notice; was "telemetry" meant?'],
    ['t/a/b/temperature', /level 4 is "temperature": it must be telemetry, status, cmd or notice$/],
    ['t/a/b/telemetry/x/y/z', 'level 6, "y", is one too many'],
  ])('%s', (topic, said) => {
    expect(whyUnknown(topic)).toMatch(said)
  })

  it('never throws, and shows no more than a name of what stands there', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(wideName, fc.string({ maxLength: 1000 })), { maxLength: 8 }), (levels) => {
        expect(whyUnknown(['t', ...levels].join('/')).length).toBeLessThan(1000)
      }),
    )
  })
})
