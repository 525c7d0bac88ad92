import type { PointValue } from '../../shared/telemetry.ts'

/**
 * What simulated devices send: a pure function of device and sequence number. So a message can be sent again after a
 * reconnect without having been kept, and what must come back from the API can be computed instead of remembered.
 */
export interface Workload {
  /** How many readings a device has; Infinity when there is no end. */
  readonly length: number
  readonly fields: readonly string[]
  /** The payload, one character per byte (UTF-8 bytes as latin1), which is how sockets take text fastest. */
  payload(device: number, sequence: number): string
  /** The reading's own time in whole microseconds since 1970; different for each sequence number of a device. */
  timeUs(sequence: number): number
  /** Inverse of {@link timeUs}: undefined for a time that no sequence number has. */
  sequenceAt(timeUs: number): number | undefined
  /** The value of a field, or undefined when that reading does not have the field. */
  value(device: number, sequence: number, field: string): PointValue | undefined
}

export interface GeneratedOptions {
  readonly seed: number
  /** Time of the first reading, whole milliseconds since 1970. */
  readonly startMs: number
  /** Between two readings of one device, in microseconds, 1 or more; whole milliseconds where that is possible. */
  readonly stepUs: number
}

/** Values are 0.00 to 99.99: the texts are made once. */
const VALUES = 10_000
/** A day's curve, in readings. */
const WAVE = 256

/**
 * Readings without end: `{"ts":...,"seq":n,"value":x.xx}`, a slow wave with noise. Time is in ms as long as the step is
 * in whole ms, else in us.
 */
export function generatedWorkload({ seed, startMs, stepUs }: GeneratedOptions): Workload {
  const wholeMs = stepUs % 1000 === 0
  const start = wholeMs ? startMs : startMs * 1000
  const step = wholeMs ? stepUs / 1000 : stepUs
  const texts = Array.from({ length: VALUES }, (_, index) => String(index / 100))
  const wave = Array.from({ length: WAVE }, (_, index) =>
    Math.round(4_500 * (1 + Math.sin((index * 2 * Math.PI) / WAVE))),
  )

  const valueIndex = (device: number, sequence: number) =>
    (wave[(sequence + device * 17) % WAVE] ?? 0) + (mix(seed, device, sequence) % 1_000)

  return {
    length: Infinity,
    fields: ['seq', 'value'],
    payload: (device, sequence) =>
      `{"ts":${start + sequence * step},"seq":${sequence},"value":${texts[valueIndex(device, sequence)]}}`,
    timeUs: (sequence) => startMs * 1000 + sequence * stepUs,
    sequenceAt(timeUs) {
      const sequence = (timeUs - startMs * 1000) / stepUs
      return Number.isInteger(sequence) && sequence >= 0 ? sequence : undefined
    },
    value(device, sequence, field) {
      if (field === 'seq') return sequence
      return field === 'value' ? valueIndex(device, sequence) / 100 : undefined
    },
  }
}

/**
 * Microseconds between two readings of one device at a rate of readings per second over all devices (0 = unlimited).
 * At unlimited rate a microsecond each, so that the times of a fast device do not run ahead of the clock.
 */
export function stepOf(rate: number, devices: number): number {
  if (rate <= 0) return 1
  const us = Math.max(1, Math.floor((devices * 1_000_000) / rate))
  return us >= 1000 ? us - (us % 1000) : us
}

/** A 32-bit hash of three numbers (the finalizer of MurmurHash3). */
function mix(seed: number, device: number, sequence: number): number {
  let hash = seed ^ Math.imul(device + 1, 0x9e3779b1) ^ Math.imul(sequence + 1, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
