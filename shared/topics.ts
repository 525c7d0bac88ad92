/** The topic grammar: `t/{tenant}/{device}/telemetry[/{stream}]` and the other topics below a device. */

/** Tenant, device and stream names: 1 to 64 characters, case-sensitive everywhere. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/

/** The stream of a topic that names none. */
export const DEFAULT_STREAM = 'telemetry'

export interface TelemetryTopic {
  readonly tenant: string
  readonly device: string
  readonly stream: string
}

/** True for a string that may name a tenant, a device or a stream. */
export function isName(text: string): boolean {
  return NAME.test(text)
}

/** The parts of a telemetry topic, or undefined when `topic` is not one. Never throws. */
export function parseTelemetryTopic(topic: string): TelemetryTopic | undefined {
  const levels = topic.split('/')
  const [root, tenant, device, kind, stream = DEFAULT_STREAM] = levels
  if (root !== 't' || kind !== 'telemetry' || levels.length > 5) return undefined
  if (tenant === undefined || device === undefined) return undefined
  if (!isName(tenant) || !isName(device) || !isName(stream)) return undefined
  return { tenant, device, stream }
}

/** The topic of a stream; the default stream has the short form. Inverse of {@link parseTelemetryTopic}. */
export function formatTelemetryTopic({ tenant, device, stream }: TelemetryTopic): string {
  const base = `t/${tenant}/${device}/telemetry`
  return stream === DEFAULT_STREAM ? base : `${base}/${stream}`
}

/** The record key of a device, `{tenant}/{device}`: what keeps its records in one partition, in order. */
export function deviceKey(tenant: string, device: string): string {
  return `${tenant}/${device}`
}

/** Identity of a stream as one text: names hold no slash, so no two have the same. */
export function streamKey({ tenant, device, stream }: TelemetryTopic): string {
  return `${deviceKey(tenant, device)}/${stream}`
}

/** What the type of a field is pinned for, in all devices of a tenant; its name may hold a slash, but comes last. */
export function fieldKey(names: { readonly tenant: string; readonly stream: string; readonly field: string }): string {
  return `${names.tenant}/${names.stream}/${names.field}`
}

/** Tenant and device of a record key or username, or undefined when it is neither. */
export function parseDeviceKey(key: string): { tenant: string; device: string } | undefined {
  const slash = key.indexOf('/')
  if (slash < 0) return undefined
  const tenant = key.slice(0, slash)
  const device = key.slice(slash + 1)
  return isName(tenant) && isName(device) ? { tenant, device } : undefined
}
