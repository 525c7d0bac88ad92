import { BACKOFF, backoffMs, pause } from '../../../shared/backoff.ts'
import { headersOf } from '../../../shared/record.ts'
import { deviceKey, parseTelemetryTopic } from '../../../shared/topics.ts'
import type { Forwarder } from './forwarder.ts'
import type { RouteRegistry } from '../../../shared/topic-routes.ts'
import { reservedElements } from '../../../shared/stamps/reservation.ts'
import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'

/** Appends a message on a telemetry topic; resolves when it is durable, false when it never will be. */
export type ForwardWill = (topic: string, payload: Uint8Array) => Promise<boolean>

/** Wills on telemetry topics go to the log like any telemetry: what a device says last is a reading too. */
export function createWillForwarder(
  forwarder: Forwarder,
  clock: ReceiveClock,
  { names, policies }: RouteRegistry,
): ForwardWill {
  return async (topic, value) => {
    const telemetry = parseTelemetryTopic(topic)
    if (telemetry === undefined) return false
    const { tenant, device } = telemetry
    const uid = names.uidOf(tenant, device)
    const headers = headersOf(telemetry, uid, topic, policies)
    const elements = reservedElements(value)
    // It has no socket that could be left unread.
    while (!clock.stamp(elements)) {
      if (forwarder.isClosed) return false
      await pause(backoffMs(BACKOFF.stamp, 1))
    }
    const { ms, ns, scheme } = clock
    return forwarder.append({ key: deviceKey(tenant, uid), value, ms, ns, scheme, headers }, topic)
  }
}
