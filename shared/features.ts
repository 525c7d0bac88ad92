/**
 * Formats that processes of this version read and those of some version before do not: each process says which, and whoever
 * would write one that a live process does not read leaves it. A name is never used again for something else.
 */

/**
 * Of workers. `handed-on-1`: the canonical form of decoders/handed-on.ts. `declared-types`: fields may have integers from a
 * moment on; a worker that does not know of it stores floats. `decoders`: policies name decoders; one that does not know of it
 * takes every payload for JSON, or a text. `lines-1`: records of line protocol, see decoders/lines.ts. `uploaded-decoders`:
 * policies may name decoders that people uploaded. `time-rules`: the policy `time_absent`, and the rule `clamp`.
 * `declared-ranges`: fields may have a range, or be required. `encoded-fields`: the policies `base64_fields` and `hex_fields`.
 */
export const WORKER_FEATURES = [
  'handed-on-1',
  'declared-types',
  'decoders',
  'lines-1',
  'uploaded-decoders',
  'time-rules',
  'declared-ranges',
  'encoded-fields',
] as const
/** Of brokers. `shared-subscriptions`: sessions in Redis may be members of groups; a node that does not know of it sends them nothing. */
export const BROKER_FEATURES = ['shared-subscriptions'] as const

export type WorkerFeature = (typeof WORKER_FEATURES)[number]
export type BrokerFeature = (typeof BROKER_FEATURES)[number]

/** For what others read who know none of the names. */
export function encodeFeatures(features: readonly string[]): Buffer {
  return Buffer.from(features.join(' '))
}

/** Inverse of {@link encodeFeatures}; none for what a process of before says, or a program of somebody else. */
export function decodeFeatures(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString('latin1')
  return /^[a-z0-9-]{1,64}( [a-z0-9-]{1,64}){0,63}$/.test(text) ? text.split(' ') : []
}
