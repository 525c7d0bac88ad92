import type { PointStore } from '../../../shared/points/port.ts'
import type { DeviceNames } from '../../../shared/registry/names-port.ts'
import type { DeclaredField } from '../../../shared/registry/types-port.ts'
import type { Instant } from '../../../shared/telemetry.ts'

/** A text of a field of a device. */
export interface StoredText {
  /** Its name. */
  readonly device: string
  readonly uid: string
  readonly time: Instant
  readonly text: string
}

/** What is handed out at once. */
const BUDGET = { series: 10_000, points: 5_000, bytes: 16 * 1024 * 1024, ms: 10_000 }

/** All texts of a field of the devices that there are, in portions. Errors: those of the store; the signal's reason. */
export async function* storedTexts(
  points: Pick<PointStore, 'scan'>,
  names: DeviceNames,
  { tenant, stream, field }: DeclaredField,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredText[]> {
  const selector = { streams: [patternOf(stream)], fields: [patternOf(field)] }
  for (let cursor: string | undefined, isOver = false; !isOver;) {
    const texts: StoredText[] = []
    const asked = { tenant, selector, kinds: ['text'] as const, budget: BUDGET }
    for await (const item of points.scan(cursor === undefined ? asked : { ...asked, cursor })) {
      signal.throwIfAborted()
      if (item.kind === 'end') {
        cursor = item.next
        isOver = cursor === undefined
        continue
      }
      for (const { device: uid, ms, ns, columns } of item.series) {
        const device = names.nameOf(tenant, uid)
        // What is stored of devices that were removed is nobody's.
        if (!names.isKnown(tenant, device) || names.uidOf(tenant, device) !== uid) continue
        for (const [i, time] of ms.entries()) {
          texts.push({ device, uid, time: { ms: time, ns: ns?.[i] ?? 0 }, text: String(columns.value?.[i]) })
        }
      }
    }
    if (texts.length > 0) yield texts
  }
}

/** The pattern that stands for the name alone. */
function patternOf(name: string): string {
  return name.replaceAll(/[*?\\]/g, String.raw`\$&`)
}
