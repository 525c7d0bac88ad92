import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../../storage/folders.ts'
import { ChunkFile } from './chunk-file.ts'
import { formatMonth, monthStart, parseMonth, type Span } from './time.ts'

/** Connections kept open, each one file handle or two and up to 1 MB of pages: a year of four tenants. */
const MAX_OPEN = 48

export interface FileName {
  readonly tenant: number
  readonly month: number
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

  constructor(folder: string) {
    this.#folder = folder
    makeFolder(folder)
    for (const tenant of readdirSync(folder)) {
      if (!/^\d+$/.test(tenant)) continue
      const files = readdirSync(join(folder, tenant)).filter((file) => file.endsWith('.db'))
      const months = files.map((file) => parseMonth(file.slice(0, -3))).filter((month) => month !== undefined)
      this.#months.set(
        Number(tenant),
        months.sort((a, b) => a - b),
      )
      for (const month of months) this.#measure(this.path({ tenant: Number(tenant), month }))
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

  remove(name: FileName): void {
    const path = this.path(name)
    this.#open.get(path)?.rollback()
    this.#open.get(path)?.close()
    this.#open.delete(path)
    this.#sizes.delete(path)
    // The journal first: left alone it would be taken for one of a later file of this name.
    rmSync(`${path}-journal`, { force: true })
    rmSync(path, { force: true })
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
    const file = new ChunkFile(path)
    const months = this.#months.get(name.tenant) ?? []
    if (!months.includes(name.month))
      this.#months.set(
        name.tenant,
        [...months, name.month].sort((a, b) => a - b),
      )
    return file
  }

  #measure(path: string): void {
    this.#sizes.set(path, statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  }
}
