import { DeviceClock } from '../../shared/device-clock.ts'
import type { LatestStream } from '../../shared/latest-state.ts'
import type { StreamState } from '../../shared/registry/port.ts'
import type { KeptValues } from './kept-values.ts'
import { writePlace, type LogPlace } from './log-place.ts'
import type { Progress } from './slice.ts'

/** What a worker has in memory of a stream that is its own. */
export interface Entry {
  readonly key: string
  readonly state: LatestStream
  readonly progress: Progress
  /** Where values of the same time go; as text until somebody asks. */
  kept: KeptValues | string | undefined
  /** What its times say of the clock of the device; as text until the next message. */
  clock: DeviceClock | string | undefined
  /** Where it first carried JSON. */
  firstJson: LogPlace | undefined
  /** Version that the registry has, or had when it was loaded. */
  flushed: number
}

/** As it goes into the registry. */
export function keptIn({ kept, clock, firstJson, progress }: Entry): Pick<StreamState, 'kept' | 'clock' | 'firstJson'> {
  return {
    ...(kept === undefined ? {} : { kept: typeof kept === 'string' ? kept : kept.write(progress) }),
    ...(firstJson === undefined ? {} : { firstJson: writePlace(firstJson) }),
    ...(clock === undefined ? {} : { clock: typeof clock === 'string' ? clock : clock.write() }),
  }
}

/** What is known of the clock. */
export function clockOf(entry: Entry): DeviceClock {
  const { clock } = entry
  if (clock instanceof DeviceClock) return clock
  return (entry.clock = clock === undefined ? new DeviceClock() : DeviceClock.read(clock))
}
