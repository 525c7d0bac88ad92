import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { unshare } from '../../storage/folder-copy.ts'
import { makeFolder, sizeOf } from '../../storage/folders.ts'
import type { FieldType } from '../../telemetry.ts'
import { ChunkFile } from './chunk-file.ts'
import { endRepairs, repairChunkFile, type Repair } from './chunk-repair.ts'
import type { Damage } from './damage.ts'
import { formatMonth, monthStart, parseMonth, type Span } from './time.ts'

/** Connections kept open, each one file handle or two and up to 1 MB of pages: a year of four tenants. */
const MAX_OPEN = 48

/** Repairs of one file until the process ends: one that does not last is not tried for ever. */
const MAX_REPAIRS = 3

export interface FileName {
  readonly tenant: number
  readonly month: number
}

export interface ChunkFilesHooks {
  /** Type of a series; what a chunk of format 1 is read with. */
  typeOf(series: number): FieldType
  /** A file is closed with what was not committed to it. */
  onBroken(): void
  /** Before a file is removed. */
  onRemove(name: FileName): void
  onRepaired(file: string, repair: Repair): void
}

/**
 * The files of chunks: `chunks/{tenant id}/{year}-{month}.db`. Tenants are told apart by number because file systems
 * may fold case; retention drops a file when its whole month has expired.
 */
export class ChunkFiles {
  readonly #folder: string
  /** Months of which there is a file, ascending. */
  readonly #months = new Map<number, number[]>()
  /** By path, least recently used first. */
  readonly #open = new Map<string, ChunkFile>()
  readonly #sizes = new Map<string, number>()
  readonly #repairs = new Map<string, number>()
  readonly #hooks: ChunkFilesHooks

  /** `expected` are those that have been committed to: one that is absent or empty is damaged. */
  constructor(folder: string, expected: readonly FileName[], hooks: ChunkFilesHooks) {
    this.#folder = folder
    this.#hooks = hooks
    makeFolder(folder)
    for (const tenant of readdirSync(folder)) {
      if (!/^\d+$/.test(tenant)) continue
      endRepairs(join(folder, tenant))
      const files = readdirSync(join(folder, tenant)).filter((file) => file.endsWith('.db'))
      const months = files.map((file) => parseMonth(file.slice(0, -3))).filter((month) => month !== undefined)
      this.#months.set(
        Number(tenant),
        months.sort((a, b) => a - b),
      )
      for (const month of months) this.#measure(this.path({ tenant: Number(tenant), month }))
    }
    for (const name of expected) {
      const path = this.path(name)
      if ((this.#sizes.get(path) ?? 0) > 0) continue
      makeFolder(dirname(path))
      this.#hooks.onRepaired(
        path,
        repairChunkFile(path, (series) => hooks.typeOf(series)),
      )
      this.#addMonth(name)
      this.#measure(path)
    }
  }

  /** Size of all files in bytes, as of their last commits. */
  get bytes(): number {
    let total = 0
    for (const size of this.#sizes.values()) total += size
    return total
  }

  /** Months of a tenant that may hold points of a span, ascending. */
  months(tenant: number, { from, to }: Span): number[] {
    const months = this.#months.get(tenant) ?? []
    return months.filter((month) => monthStart(month + 1) > from.ms && monthStart(month) <= to.ms)
  }

  all(): FileName[] {
    return [...this.#months].flatMap(([tenant, months]) => months.map((month) => ({ tenant, month })))
  }

  /** Those that hold something, as of their last commits. */
  committed(): FileName[] {
    return this.all().filter((name) => (this.#sizes.get(this.path(name)) ?? 0) > 0)
  }

  path(name: FileName): string {
    return join(this.#folder, this.relative(name))
  }

  relative({ tenant, month }: FileName): string {
    return join(String(tenant), `${formatMonth(month)}.db`)
  }

  /** The file, made when there is none. Valid until others were opened in the meantime, unless it is changing. */
  open(name: FileName): ChunkFile {
    const path = this.path(name)
    const known = this.#open.get(path)
    this.#open.delete(path)
    const file = known ?? this.#connect(name, path)
    this.#open.set(path, file)
    return file
  }

  /** Makes the changes of a file durable. */
  commit(name: FileName): void {
    const path = this.path(name)
    this.#open.get(path)?.commit()
    this.#measure(path)
  }

  /** Drops what was not committed, in all files. */
  rollback(): void {
    for (const file of this.#open.values()) file.rollback()
  }

  /**
   * Repairs a damaged file. What was not committed to any file is gone afterwards. False when it would not help: a
   * repaired file knows which of its chunks are missing, and a repair that does not last is not tried for ever.
   */
  repair({ file, isMissing }: Damage): boolean {
    const known = this.#open.get(file)
    const done = this.#repairs.get(file) ?? 0
    if (!file.startsWith(this.#folder) || (isMissing && known?.hasGaps === true) || done >= MAX_REPAIRS) return false
    this.#repairs.set(file, done + 1)
    known?.close()
    this.#open.delete(file)
    this.#hooks.onBroken()
    this.#hooks.onRepaired(
      file,
      repairChunkFile(file, (series) => this.#hooks.typeOf(series)),
    )
    this.#measure(file)
    return true
  }

  remove(name: FileName): void {
    const path = this.path(name)
    this.#hooks.onRemove(name)
    this.#open.get(path)?.rollback()
    this.#open.get(path)?.close()
    this.#open.delete(path)
    this.#sizes.delete(path)
    // The journal first: left alone it would be taken for one of a later file of this name.
    rmSync(`${path}-journal`, { force: true })
    rmSync(path, { force: true })
    // What was kept of it is as old as it.
    for (const kept of readdirSync(dirname(path)).filter((one) => one.startsWith(`${basename(path)}.damaged`))) {
      rmSync(join(dirname(path), kept))
    }
    const months = this.#months.get(name.tenant) ?? []
    this.#months.set(
      name.tenant,
      months.filter((month) => month !== name.month),
    )
  }

  close(): void {
    for (const file of this.#open.values()) file.close()
    this.#open.clear()
  }

  #connect(name: FileName, path: string): ChunkFile {
    for (const [other, file] of this.#open) {
      if (this.#open.size < MAX_OPEN) break
      if (file.isChanging) continue
      file.close()
      this.#open.delete(other)
    }
    makeFolder(join(this.#folder, String(name.tenant)))
    unshare(path)
    const file = new ChunkFile(path)
    this.#addMonth(name)
    return file
  }

  #addMonth({ tenant, month }: FileName): void {
    const months = this.#months.get(tenant) ?? []
    if (months.includes(month)) return
    this.#months.set(
      tenant,
      [...months, month].sort((a, b) => a - b),
    )
  }

  #measure(path: string): void {
    this.#sizes.set(path, sizeOf(path))
  }
}
