import { SluiceError } from '../../errors.ts'
import type { PackedBatch } from './batch.ts'
import type { Catalogue } from './catalogue.ts'
import type { SeriesNames } from './messages.ts'

/** What the main thread calls the series, as their ids. */
export class NamedSeries {
  readonly #catalogue: Catalogue
  #ids: number[] = []

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  learn({ first, added }: SeriesNames): void {
    if (first === 0) this.#ids = []
    added.forEach((series, i) => {
      this.#ids[first + i] = this.#catalogue.idOf(series)
    })
  }

  /** Puts ids into the column of series. */
  resolve(batch: PackedBatch): PackedBatch {
    for (let i = 0; i < batch.count; i++) {
      const id = this.#ids[batch.series[i] ?? 0]
      // Its names came with a request that failed; the sender starts the names again.
      if (id === undefined) throw new SluiceError('store_unavailable', 'an earlier write failed; retry this one')
      batch.series[i] = id
    }
    return batch
  }
}
