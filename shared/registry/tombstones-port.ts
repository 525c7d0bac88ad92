import { compareInstants, type Instant } from '../telemetry.ts'

/**
 * What is left of readings that were deleted: nothing of this span that was received up to then is stored again, by
 * whatever way it comes.
 */
export interface Tombstone {
  /** Made by whoever deletes, so that the same is put once however often it is tried. */
  readonly id: string
  readonly tenant: string
  readonly uid: string
  /** All streams when undefined. */
  readonly stream: string | undefined
  /** Of the readings' own times: inclusive. */
  readonly from: Instant
  /** Exclusive. */
  readonly to: Instant
  /**
   * Receive time, whole milliseconds: what was received up to then is covered. Undefined while the readings are being
   * deleted: everything is, so that they can be deleted again and again without taking anything else.
   */
  readonly receivedMs: number | undefined
}

/** More are refused: each costs a worker about 500 bytes. */
export const MAX_TOMBSTONES = 10_000

/**
 * How old what a process knows of tombstones may be when it decides by it. Whoever put one waits for longer than that, and
 * then everybody knows.
 */
export const TOMBSTONES_MAX_AGE_MS = 2_000

/** Errors as of `Registry`. */
export interface Tombstones {
  /** All of them, not older than {@link TOMBSTONES_MAX_AGE_MS}; the same object while nothing changes. */
  current(): Promise<TombstoneView>
  /**
   * Puts one, open, unless it is there already. Resolves with what is there once every process decides by it whose call of
   * `current` begins from then on. Error: `rate_limited` when there are {@link MAX_TOMBSTONES}.
   */
  put(tombstone: Omit<Tombstone, 'receivedMs'>): Promise<Tombstone>
  /**
   * Covers only what was received until a moment from now on, which lies a little ahead: until every process knows. Resolves
   * with it when that has passed, so that what is received later is not covered by anybody. What is closed stays as it is.
   */
  close(id: string): Promise<Tombstone | undefined>
  /** Takes what an open one covers out of the latest states that are kept here. */
  clearLatest(tombstone: Tombstone): Promise<void>
}

const NONE: readonly Tombstone[] = []

/** All tombstones at one moment. */
export class TombstoneView {
  readonly all: readonly Tombstone[]
  /** Tenant, uid. Not one text: that would be made for each question. */
  readonly #byDevice = new Map<string, Map<string, Tombstone[]>>()

  constructor(all: readonly Tombstone[] = NONE) {
    this.all = all
    for (const tombstone of all) {
      const { tenant, uid } = tombstone
      const devices = this.#byDevice.get(tenant) ?? new Map<string, Tombstone[]>()
      this.#byDevice.set(tenant, devices)
      devices.set(uid, [...(devices.get(uid) ?? []), tombstone])
    }
  }

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  /** Whether something of a tenant was deleted. */
  hasTenant(tenant: string): boolean {
    return this.#byDevice.has(tenant)
  }

  of(tenant: string, uid: string): readonly Tombstone[] {
    return this.#byDevice.get(tenant)?.get(uid) ?? NONE
  }

  /** Whether a reading of this stream and time, received then, was deleted. */
  covers(
    series: Readonly<{ tenant: string; device: string; stream: string }>,
    at: Instant,
    receivedMs: number,
  ): boolean {
    for (const tombstone of this.of(series.tenant, series.device)) {
      const { receivedMs: until } = tombstone
      if (until !== undefined && receivedMs > until) continue
      if (spans(tombstone, series.stream, at)) return true
    }
    return false
  }
}

/** Whether a reading of this stream and time of its device lies in the span. */
export function spans({ stream, from, to }: Tombstone, of: string, at: Instant): boolean {
  if (stream !== undefined && stream !== of) return false
  return compareInstants(at, from) >= 0 && compareInstants(at, to) < 0
}
