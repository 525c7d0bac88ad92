import Type, { type Static } from 'typebox'
import { DeviceClock } from '../../shared/device-clock.ts'
import type { StreamState } from '../../shared/registry/port.ts'
import { rfc3339, TimeOrNull } from './time.ts'

export const ClockView = Type.Union(
  [
    Type.Object({
      offset: Type.Number({
        description: 'Seconds by which the times that it sends are ahead of their receipt, where the delay is least.',
      }),
      at: TimeOrNull,
      step: Type.Union([Type.Object({ by: Type.Number(), at: TimeOrNull }), Type.Null()], {
        description: 'When its clock was seen to be set last, and by how many seconds.',
      }),
    }),
    Type.Null(),
  ],
  {
    description:
      'The clock of the device, by the times that it sends: its error less the least delay. Null: it sends none.',
  },
)

/** Of the stream that told something last. */
export function viewClock(states: readonly StreamState[]): Static<typeof ClockView> {
  const known = states.flatMap(({ clock }) => (clock === undefined ? [] : (DeviceClock.read(clock).state ?? [])))
  const [newest] = known.toSorted((a, b) => b.atMs - a.atMs)
  if (newest === undefined) return null
  const { offsetMs, atMs } = newest
  const steps = known.flatMap(({ stepped }) => stepped ?? []).toSorted((a, b) => b.atMs - a.atMs)
  const [step] = steps
  return {
    offset: offsetMs / 1000,
    at: rfc3339(atMs),
    step: step === undefined ? null : { by: step.byMs / 1000, at: rfc3339(step.atMs) },
  }
}
