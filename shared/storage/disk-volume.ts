import { SluiceError, toSluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import { oncePer, TELL_EVERY_MS } from '../process/once-per.ts'
import { DiskForecast } from './disk-forecast.ts'
import { diskSizeOf, reserveBytes, reserveFileBytes, shownBytes, WARN_SHARE, type DiskSize } from './disk-reserve.ts'
import { ReserveFile } from './reserve-file.ts'
import type { Room } from './room.ts'

/** Room that others took and gave back again within a moment is none. */
const FULL_LEAST_MS = 1_000
/** It is not full any more when the reserve and this part of it are free. */
const MARGIN_SHARE = 1 / 16
const WARN_EVERY_MS = 24 * 3_600_000
/** The file of the reserve is made when a start is over, and after a failure not at once again. */
const FILE_AFTER_MS = 5_000

export interface VolumeOptions {
  /** A folder of ours on this file system, which is where the file of the reserve lies. */
  readonly folder: string
  /** DISK_RESERVE. */
  readonly reserve: string | undefined
  readonly logger: Logger
  readonly sizeOf?: (folder: string) => DiskSize
  /** A clock that nobody sets, in milliseconds. */
  readonly steady?: () => number
}

/**
 * One file system with data of ours. Full means: less is free than the reserve, or a write found no room. Then nothing more
 * is taken in, and what is left is for checkpoints, commits and deletes. When others use that up, too, a file of ours is
 * given back for them.
 */
export class DiskVolume implements Room {
  readonly folder: string
  readonly reserve: number
  readonly #options: VolumeOptions
  readonly #sizeOf: (folder: string) => DiskSize
  readonly #steady: () => number
  readonly #file: ReserveFile
  readonly #forecast = new DiskForecast()
  readonly #mayTell: (kind?: string) => boolean
  #now: DiskSize
  /** Bytes taken in since the file system was looked at. */
  #taken = 0
  #isFull = false
  #fullUntil = -Infinity
  #mayMakeAt: number
  /** When a warning was given, and whether with a date. */
  #warned: { at: number; isDated: boolean } | undefined

  constructor(options: VolumeOptions) {
    const { folder, sizeOf = diskSizeOf, steady = () => performance.now() } = options
    this.#options = options
    this.folder = folder
    this.#sizeOf = sizeOf
    this.#steady = steady
    this.#mayTell = oncePer(TELL_EVERY_MS, steady)
    this.#mayMakeAt = steady() + FILE_AFTER_MS
    this.#now = sizeOf(folder)
    this.reserve = reserveBytes(options.reserve, this.#now.size)
    this.#file = new ReserveFile(folder, reserveFileBytes(this.#now.size))
    this.look()
  }

  get isFull(): boolean {
    return this.#isFull
  }

  get size(): DiskSize {
    return this.#now
  }

  /** When it will be full, in ms since 1970, and from how many milliseconds that is concluded; undefined if unknown. */
  get forecast(): { readonly at: number; readonly overMs: number } | undefined {
    const until = this.#forecast.untilUsed(this.#now.size - this.reserve)
    return until === undefined ? undefined : { at: Date.now() + until.ms, overMs: until.overMs }
  }

  check(bytes = 0): void {
    this.#taken += bytes
    // Only near the reserve, and once for as much as was free.
    if (!this.#isFull && this.#now.free - this.#taken < this.reserve) this.look()
    if (this.#isFull) throw new SluiceError('disk_full', this.describe())
  }

  foundFull(): void {
    this.#fullUntil = this.#steady() + FULL_LEAST_MS
    this.#giveBack()
    this.#become(true)
  }

  /** Looks at the file system, as is done now and then. */
  look(): void {
    this.#now = this.#sizeOf(this.folder)
    this.#taken = 0
    const { size, free } = this.#now
    const own = this.#file.isThere ? this.#file.bytes : 0
    this.#forecast.note(this.#steady(), size - free - own)
    // Others have taken what was left for checkpoints.
    if (own > 0 && free < own / 2) this.#giveBack()
    const margin = this.#isFull ? this.reserve * MARGIN_SHARE : 0
    this.#become(free < this.reserve + margin || this.#steady() < this.#fullUntil)
    if (!this.#isFull) this.#warnInTime((size - free - own) / size)
  }

  /** Makes the file of the reserve if there is room for it. */
  async keepReserve(): Promise<void> {
    if (this.#isFull || this.#file.isThere || this.#steady() < this.#mayMakeAt) return
    if (this.#now.free < this.reserve * (1 + MARGIN_SHARE) + this.#file.bytes) return
    try {
      await this.#file.make()
    } catch (error) {
      this.#mayMakeAt = this.#steady() + FILE_AFTER_MS
      const { message } = toSluiceError(error)
      this.#options.logger.warn({ folder: this.folder, reason: message }, 'the file of the disk reserve was not made')
    }
  }

  /** Resolves when nothing is being written any more. */
  close(): Promise<void> {
    return this.#file.settled()
  }

  /** For people; without names of folders, because anybody may read it. */
  describe(): string {
    const { size, free } = this.#now
    const facts = `${shownBytes(free)} of ${shownBytes(size)} free`
    if (this.#isFull) return `${facts}, and ${shownBytes(this.reserve)} are kept in reserve: nothing is taken in`
    return this.#warned === undefined ? facts : `${facts}; ${this.#expected()}`
  }

  #become(isFull: boolean): void {
    if (this.#isFull === isFull) return
    this.#isFull = isFull
    const { folder, reserve } = this
    const facts = { folder, free: this.#now.free, reserve }
    const { logger } = this.#options
    if (!this.#mayTell(String(isFull))) return
    if (isFull)
      logger.error({ code: 'disk_full', ...facts }, 'the disk is full: nothing is acknowledged until there is room')
    else logger.info(facts, 'the disk has room again')
  }

  #giveBack(): void {
    if (!this.#file.isThere) return
    try {
      this.#file.giveBack()
      const { folder } = this
      this.#options.logger.warn({ folder, bytes: this.#file.bytes }, 'the file of the disk reserve was given back')
    } catch (error) {
      const { message } = toSluiceError(error)
      this.#options.logger.error({ folder: this.folder, reason: message }, 'the file of the disk reserve stays')
    }
  }

  /** Once when it begins, once when a date is known, and each day. */
  #warnInTime(share: number): void {
    if (share < WARN_SHARE) {
      this.#warned = undefined
      return
    }
    const forecast = this.forecast
    const isDated = forecast !== undefined
    const known = this.#warned
    const isDue = known === undefined || this.#steady() - known.at >= WARN_EVERY_MS || (isDated && !known.isDated)
    if (!isDue) return
    this.#warned = { at: this.#steady(), isDated }
    const { folder, reserve } = this
    const facts = {
      folder,
      free: this.#now.free,
      reserve,
      fullAt: isDated ? new Date(forecast.at).toISOString() : null,
    }
    this.#options.logger.warn(facts, `the disk is ${Math.floor(share * 100)} % used; ${this.#expected()}`)
  }

  #expected(): string {
    const { forecast } = this
    if (forecast === undefined) return 'when it will be full is not known yet'
    // Years from now is no date.
    const date = new Date(Math.min(forecast.at, Date.UTC(9999, 0))).toISOString().slice(0, 16)
    return `at the rate of the last ${shownSpan(forecast.overMs)} it is full on ${date}Z`
  }
}

function shownSpan(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`
  return ms < 2 * 3_600_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`
}
