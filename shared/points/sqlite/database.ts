import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { makeFolder, sizeOf } from '../../storage/folders.ts'
import type { CheckedQuery } from '../cursor.ts'
import type { DeleteRange } from '../port.ts'
import { viewBatch, type PackedBatch } from './batch.ts'
import { Catalogue } from './catalogue.ts'
import { ChunkFiles } from './chunk-files.ts'
import { eraseFromFiles, eraseFromMemory, spanOf } from './erase.ts'
import { Generation } from './generation.ts'
import type { Erasure } from './hot-rows.ts'
import { HotGaps } from './hot-gaps.ts'
import { forgetGaps, listedFiles, listFiles, storedGaps } from './hot-lists.ts'
import { HotDatabase } from './hot.ts'
import { mending, repairText } from './mend.ts'
import type { Calls, QueryAnswer, Request, ThreadOptions, WriteAnswer } from './messages.ts'
import { runQuery } from './query.ts'
import type { Sources } from './read.ts'
import { Scans } from './scans.ts'
import { Sealer } from './sealer.ts'
import { NamedSeries } from './series-names.ts'
import { copyStore } from './snapshot.ts'
import { ALL_TIME, monthStart } from './time.ts'

type Write = Extract<Request, { question: 'write' }>

/** Pages given back to the disk in one step, about 1 ms. */
const TIDY_PAGES = 256

/**
 * The store as its thread sees it: one hot database, files of chunks, and the unsealed points in memory. Synchronous,
 * one caller, but for {@link PointDatabase.snapshot}.
 */
export class PointDatabase {
  readonly #folder: string
  readonly #hot: HotDatabase
  readonly catalogue: Catalogue
  readonly #files: ChunkFiles
  readonly #sources: Sources
  readonly #generations: Generation[] = [new Generation()]
  readonly sealer: Sealer
  readonly #names: NamedSeries
  readonly scans = new Scans({
    sources: () => this.#sources,
    written: () => this.#hot.lastSeq,
    sealed: () => this.sealer.begunUpTo,
  })
  /** Deletes that the files of chunks do not reflect yet, oldest first. */
  #pending: Erasure[] = []

  /** `onDamage` is told of each damage that is found and repaired. Opened by openPointDatabase. */
  constructor({ folder, sealAfterPoints, sealAfterMs, keepMs }: ThreadOptions, onDamage: (detail: string) => void) {
    this.#folder = folder
    makeFolder(folder)
    const file = join(folder, 'raw.db')
    const chunks = join(folder, 'chunks')
    if (sizeOf(file) === 0 && existsSync(chunks) && readdirSync(chunks).length > 0) {
      throw new SluiceError('store_corrupt', `${chunks} exists, but ${file} is missing or empty`)
    }
    this.#hot = new HotDatabase(file)
    try {
      this.catalogue = new Catalogue(this.#hot, keepMs)
      this.#names = new NamedSeries(this.catalogue)
      const catalogue = this.catalogue
      this.#files = new ChunkFiles(chunks, listedFiles(this.#hot.db), {
        typeOf: (series) => catalogue.typeOf(series),
        onBroken: () => this.sealer.abort(),
        onRemove: (name) => this.#hot.unlistFile(name),
        onRepaired: (path, repair) => {
          this.scans.endAll()
          onDamage(repairText(path, repair, catalogue))
        },
      })
      this.#sources = { catalogue, files: this.#files, generations: this.#generations, gaps: this.#gaps() }
      this.#hot.transaction(() => listFiles(this.#hot.db, this.#files.committed()))
      // A delete that failed half way must not meet what was written after it.
      const prepare = (): void => this.#applyErasures()
      this.sealer = new Sealer(this.#hot, this.#sources, this.#generations, { sealAfterPoints, sealAfterMs }, prepare)
      this.#load()
      this.#applyErasures()
      this.expire()
    } catch (error) {
      this.#hot.close()
      throw error
    }
  }

  /** Stores the batches of several requests in one transaction: all or none. */
  write(requests: readonly Write[]): WriteAnswer[] {
    this.sealer.makeRoom()
    const parts: PackedBatch[] = []
    for (const { ask } of requests) {
      this.#names.learn(ask.names)
      for (const bytes of ask.parts) parts.push(this.#names.resolve(viewBatch(bytes)))
    }
    const writtenAt = Date.now()
    const stored = parts.filter((part) => part.count > 0).map((batch) => ({ batch, seq: this.#hot.nextSeq() }))
    this.#hot.transaction(() => {
      this.catalogue.save()
      for (const { batch } of stored) this.catalogue.show(batch.series)
      for (const { batch, seq } of stored) this.#hot.addBatch({ seq, writtenAt, data: batch.bytes })
    })
    this.catalogue.saved()
    for (const { batch, seq } of stored) this.#append(batch, seq, writtenAt)
    const { rawPoints } = this
    return requests.map(() => ({ rawPoints }))
  }

  sync(): void {
    this.#hot.sync()
  }

  query(query: CheckedQuery): QueryAnswer {
    return mending(this.#sources, () => runQuery(this.#sources, query, Date.now()))
  }

  series(tenant: string, device: string): Calls['series']['answer'] {
    const found = this.catalogue.seriesOf({ tenant, device })
    return found.map(({ stream, field, type }) => ({ stream, field, type }))
  }

  /**
   * First the delete itself becomes durable, then the files are changed: a crash in between is made good when the
   * store is opened, before anything newer is sealed.
   */
  delete(range: DeleteRange): void {
    // What a sealing has read ahead would bring points back.
    this.sealer.abort()
    this.scans.endAll()
    const erasure = { seq: this.#hot.nextSeq(), range, applied: false }
    const { from = ALL_TIME.from, to } = range
    const whole = from.ms === 0 && from.ns === 0 && to === undefined
    this.#hot.transaction(() => {
      this.catalogue.save()
      this.#hot.addErasure(erasure)
      if (whole) this.catalogue.hide(this.catalogue.covered(range))
      forgetGaps(this.#hot.db, this.catalogue.covered(range), spanOf(range))
    })
    this.#sources.gaps = this.#gaps()
    this.catalogue.saved()
    this.#hot.sync()
    eraseFromMemory(this.#sources, range)
    this.#pending.push(erasure)
    this.#applyErasures()
  }

  setRetention(tenant: string, keepMs: number | undefined): void {
    this.catalogue.setKeepMs(tenant, keepMs)
    this.#hot.sync()
    this.expire()
  }

  /** Removes the files of which every point is past its tenant's retention. */
  expire(): void {
    for (const name of this.#files.all()) {
      const keepMs = this.catalogue.tenants.keepMs(name.tenant)
      if (keepMs === undefined || monthStart(name.month + 1) > Date.now() - keepMs) continue
      this.sealer.abort()
      this.scans.endAll()
      this.#files.remove(name)
    }
  }

  /** One step of the work that can wait; true while there is more of it. */
  tidy(): boolean {
    return this.#hot.tidy(TIDY_PAGES)
  }

  /** Copies the store; until it is done nothing but writes and queries may be asked for, and nothing is sealed. */
  async snapshot(folder: string): Promise<void> {
    const resume = this.sealer.pause()
    try {
      await copyStore(this.#files, this.#hot, folder)
    } finally {
      resume()
    }
  }

  /** See {@link HotDatabase.isDoubtful}. */
  get isDoubtful(): boolean {
    return this.#hot.isDoubtful
  }

  /** Goes back to the last good sync, for another to open the store. May be repeated when it fails. */
  rewind(): void {
    this.sealer.abort()
    this.#files.close()
    this.#hot.rewind()
  }

  get bytesOnDisk(): number {
    return this.#hot.bytesOnDisk + this.#files.bytes
  }

  get rawPoints(): number {
    return this.#generations.reduce((sum, { count }) => sum + count, 0)
  }

  close(): void {
    this.sealer.abort()
    this.#files.close()
    this.#hot.close()
  }

  #gaps(): HotGaps {
    return new HotGaps(join(this.#folder, 'raw.db'), storedGaps(this.#hot.db))
  }

  #append(batch: PackedBatch, seq: number, writtenAt: number): void {
    this.#generations.at(-1)?.append(batch, seq, writtenAt, (series) => this.catalogue.typeOf(series))
  }

  /** Brings the unsealed points back, each delete at its place in the order of writes. Nothing is sealed meanwhile. */
  #load(): void {
    const erasures = this.#hot.erasures()
    this.#pending = erasures.filter(({ applied }) => !applied)
    let next = 0
    const eraseBefore = (seq: number): void => {
      for (let erasure = erasures[next]; erasure !== undefined && erasure.seq < seq; erasure = erasures[++next]) {
        eraseFromMemory(this.#sources, erasure.range)
      }
    }
    for (const { seq, writtenAt, data } of this.#hot.batches()) {
      eraseBefore(seq)
      this.sealer.rotateWhenFull()
      this.#append(viewBatch(data), seq, writtenAt)
    }
    eraseBefore(Infinity)
  }

  #applyErasures(): void {
    if (this.#pending.length > 0) this.scans.endAll()
    for (let erasure = this.#pending[0]; erasure !== undefined; erasure = this.#pending[0]) {
      try {
        mending(this.#sources, () => eraseFromFiles(this.#sources, erasure.range))
      } catch (error) {
        this.sealer.abort()
        throw error
      }
      this.#hot.markApplied(erasure.seq)
      this.#pending.shift()
    }
  }
}
