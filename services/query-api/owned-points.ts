import type { Decoded } from '../../shared/decoders/decode.ts'
import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { PointBatch } from '../../shared/telemetry.ts'
import { parseDeviceKey } from '../../shared/topics.ts'

/** Points of a record that are of one device. */
export interface OwnedPoints {
  /** Name and uid, which may be of a device that there is not. */
  readonly device: string
  readonly uid: string
  /** Of series with this uid. */
  readonly points: PointBatch
  /** Per point, as in `Decoded`. */
  readonly element: readonly number[]
}

/** What a record with this key holds, decoded alone: its device's own points, and those of other devices that it brings. */
export function ownedPoints({ points, element, others }: Decoded, key: string, names: DeviceNames): OwnedPoints[] {
  const { tenant = '', device: uid = '' } = parseDeviceKey(key) ?? {}
  const ofOthers = others.map(({ device, stream, points: theirs, element: places }): OwnedPoints => {
    const owner = { tenant, device: names.uidOf(tenant, device), stream }
    const series = theirs.series.map((one) => ({ ...one, ...owner }))
    return { device, uid: owner.device, points: { ...theirs, series }, element: places }
  })
  return [{ device: names.nameOf(tenant, uid), uid, points, element }, ...ofOthers]
}
