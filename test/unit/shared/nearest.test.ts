import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nearest } from '../../../shared/nearest.ts'

const KNOWN = ['telemetry', 'status', 'cmd', 'notice', 'MQTT_PORT', 'HTTP_PORT', 'MQTT_WS_PORT']

it.each([
  ['telemetri', 'telemetry'],
  ['Telemetry', 'telemetry'],
  ['telmetry', 'telemetry'],
  ['telemetryy', 'telemetry'],
  ['tleemetry', 'telemetry'],
  ['MQTT_PROT', 'MQTT_PORT'],
  ['MQTT_TLS_PORT', 'MQTT_WS_PORT'],
  ['MQTT_QUIC_PORT', undefined],
  ['temperature', undefined],
  ['cdm', 'cmd'],
  ['abc', undefined],
  ['', undefined],
])('%j means %j', (word, meant) => {
  expect(nearest(word, KNOWN)).toBe(meant)
})

it('a word with one slip is found, whatever the slip', () => {
  const slip = fc.tuple(fc.constantFrom('drop', 'double', 'swap', 'other'), fc.nat({ max: 8 }))
  fc.assert(
    fc.property(slip, ([kind, at]) => {
      const letters = [...'telemetry']
      if (kind === 'drop') letters.splice(at, 1)
      else if (kind === 'double') letters.splice(at, 0, letters[at] ?? '')
      else if (kind === 'other') letters[at] = 'z'
      else letters.splice(Math.min(at, 7), 2, letters[Math.min(at, 7) + 1] ?? '', letters[Math.min(at, 7)] ?? '')
      expect(nearest(letters.join(''), KNOWN)).toBe('telemetry')
    }),
  )
})
