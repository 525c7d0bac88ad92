import { DEFAULT_STREAM, deviceKey, parseTelemetryTopic } from '../../../shared/topics.ts'
import type { Forwarder } from './forwarder.ts'
import type { ReceiveClock } from '../../../shared/receive-clock.ts'

/** Appends a message on a telemetry topic; resolves when it is durable, false when it never will be. */
export type ForwardWill = (topic: string, payload: Uint8Array) => Promise<boolean>

/** Wills on telemetry topics go to the log like any telemetry: what a device says last is a reading too. */
export function createWillForwarder(forwarder: Forwarder, clock: ReceiveClock): ForwardWill {
  return (topic, value) => {
    const telemetry = parseTelemetryTopic(topic)
    if (telemetry === undefined) return Promise.resolve(false)
    const { tenant, device, stream } = telemetry
    const headers = stream === DEFAULT_STREAM ? undefined : { topic }
    return forwarder.append({ key: deviceKey(tenant, device), value, ...clock.nextStamp(value.length), headers }, topic)
  }
}
