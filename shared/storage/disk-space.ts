import { statSync } from 'node:fs'
import { Gauge } from 'prom-client'
import { SluiceError } from '../errors.ts'
import type { Logger } from '../process/logger.ts'
import type { Metrics } from '../process/metrics.ts'
import type { ReadinessCheck } from '../process/readiness.ts'
import { checkpointBytes, diskSizeOf, nearestExisting, parseReserve, shownBytes } from './disk-reserve.ts'
import { DiskVolume } from './disk-volume.ts'
import type { Room } from './room.ts'

/** How often the file systems are looked at. */
const LOOK_MS = 500

export interface DiskSpaceOptions<Name extends string> {
  /** By name, the first of which exists; a folder that does not exist yet will be on the file system of the one above. */
  readonly folders: Readonly<Record<Name, string>>
  /** DISK_RESERVE. */
  readonly reserve: string | undefined
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The file systems under the data, each of which is looked at by itself: folders may be mounts. */
export class DiskSpace<Name extends string> {
  readonly #volumes: ReadonlyMap<number, DiskVolume>
  readonly #rooms: Readonly<Record<Name, DiskVolume>>
  readonly #timer: NodeJS.Timeout

  /** Error: `setting_invalid` when the reserve is less than one checkpoint needs. */
  constructor({ folders, reserve, logger, metrics }: DiskSpaceOptions<Name>) {
    const volumes = new Map<number, DiskVolume>()
    const rooms: Partial<Record<Name, DiskVolume>> = {}
    // Objects keep the order of their names.
    for (const [name, path] of Object.entries<string>(folders) as [Name, string][]) {
      const folder = nearestExisting(path)
      const { dev } = statSync(folder)
      if (!volumes.has(dev)) checkReserve(reserve, folder)
      const volume = volumes.get(dev) ?? new DiskVolume({ folder, reserve, logger })
      volumes.set(dev, volume)
      rooms[name] = volume
    }
    this.#volumes = volumes
    this.#rooms = rooms as Record<Name, DiskVolume> // one for each name
    exposeVolumes(this.#rooms, metrics)
    this.#timer = setInterval(() => this.#look(logger), LOOK_MS)
    this.#look(logger)
  }

  /** For `/readyz`. */
  readonly check: ReadinessCheck = {
    name: 'disk',
    check: async () => {
      const volumes = [...this.#volumes.values()]
      const full = volumes.find(({ isFull }) => isFull)
      if (full !== undefined) return { ok: false, detail: `disk_full: ${full.describe()}` }
      return { ok: true, detail: volumes.map((volume) => volume.describe()).join('; ') }
    },
  }

  room(name: Name): Room {
    return this.#rooms[name]
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([...this.#volumes.values()].map((volume) => volume.close()))
  }

  #look(logger: Logger): void {
    for (const volume of this.#volumes.values()) {
      try {
        volume.look()
        void volume.keepReserve()
      } catch (error) {
        logger.warn({ err: error, folder: volume.folder }, 'the free space of the disk is not known')
      }
    }
  }
}

function checkReserve(reserve: string | undefined, folder: string): void {
  if (reserve === undefined) return
  const { size } = diskSizeOf(folder)
  const { bytes, share } = parseReserve(reserve)
  const chosen = Math.min(bytes, share * size)
  const least = checkpointBytes(size)
  if (chosen >= least) return
  throw new SluiceError(
    'setting_invalid',
    `DISK_RESERVE: ${shownBytes(chosen)} of the disk of ${folder} is less than one checkpoint needs, ${shownBytes(least)}`,
  )
}

function exposeVolumes(rooms: Readonly<Record<string, DiskVolume>>, metrics: Metrics): void {
  const expose = (name: string, help: string, read: (volume: DiskVolume) => number | undefined): void => {
    new Gauge({
      name: `sluice_disk_${name}`,
      help,
      labelNames: ['folder'],
      registers: [metrics],
      collect() {
        this.reset()
        for (const [folder, volume] of Object.entries(rooms)) {
          const value = read(volume)
          if (value !== undefined) this.set({ folder }, value)
        }
      },
    })
  }
  expose('size_bytes', 'Size of the file system of a folder', ({ size }) => size.size)
  expose('free_bytes', 'Free bytes of the file system of a folder', ({ size }) => size.free)
  expose('reserve_bytes', 'Free bytes below which nothing is acknowledged', ({ reserve }) => reserve)
  expose('full', '1 while nothing is acknowledged for want of room', ({ isFull }) => Number(isFull))
  expose(
    'full_forecast_timestamp_seconds',
    'When the file system will be full at the rate of the last hours; absent while that is unknown or nothing grows',
    ({ forecast }) => (forecast === undefined ? undefined : forecast.at / 1000),
  )
}
