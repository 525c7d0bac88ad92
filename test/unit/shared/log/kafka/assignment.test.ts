import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WORKER_FEATURES } from '../../../../../shared/features.ts'
import { encodeSubscription, featuresOf } from '../../../../../shared/log/kafka/assignment.ts'

it('a member says what it reads; one of a version before, or of another program, says nothing', () => {
  expect(featuresOf(encodeSubscription('telemetry.raw', WORKER_FEATURES))).toEqual([...WORKER_FEATURES])
  expect(featuresOf(encodeSubscription('telemetry.raw', []))).toEqual([])
  const whole = encodeSubscription('telemetry.raw', WORKER_FEATURES)
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.nat(whole.length - 1).map((end) => whole.subarray(0, end)),
      ),
      (bytes) => {
        for (const feature of featuresOf(Buffer.from(bytes))) expect(feature).toMatch(/^[a-z0-9-]{1,64}$/)
      },
    ),
  )
})
