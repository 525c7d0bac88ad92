// Invariant: as of kept-values.ts. What a record gets depends on those before it alone, and one that is read again gets what
// it got.
import type { LocalTime } from '../../shared/decoders/decoded.ts'
import { LocalOrder, type WrittenOrder } from '../../shared/decoders/local-order.ts'
import type { Progress } from './slice.ts'

export type WrittenHours = readonly [
  log: string,
  partition: number,
  through: number,
  order: WrittenOrder,
  turned: readonly number[],
]

/**
 * Which hour the local times of a stream are of where clocks are set back: {@link LocalOrder} over all of its messages. Goes into
 * the registry before the position is committed; of records at or above that it holds which times are the other ones of
 * those that the decoder chose, which knows a message alone.
 */
export class LocalHours {
  #log = ''
  #partition = -1
  /** Offset of the last record that was decided. */
  #through = -1
  #order = new LocalOrder()
  /** Offset, and place among the local times of the record, one after the other, in the order of the log. */
  #turned: number[] = []

  /** Inverse of {@link write}. */
  static read([log, partition, through, order, turned]: WrittenHours): LocalHours {
    const hours = new LocalHours()
    hours.#log = log
    hours.#partition = partition
    hours.#through = through
    hours.#order = LocalOrder.read(order)
    hours.#turned = [...turned]
    return hours
  }

  /** What is below the committed position of its partition is not read again, and is left out from now on. */
  write({ log, partition, committed }: Pick<Progress, 'log' | 'partition' | 'committed'>): WrittenHours {
    if (log === this.#log && partition === this.#partition) {
      const kept = this.#turned.findIndex((offset, i) => i % 2 === 0 && offset >= committed)
      this.#turned = kept < 0 ? [] : this.#turned.slice(kept)
    }
    return [this.#log, this.#partition, this.#through, this.#order.write(), this.#turned]
  }

  /** Decides the local times of the record at `offset`, all that there are: which of them are the other ones. */
  decide(
    { log, partition }: Pick<Progress, 'log' | 'partition'>,
    offset: number,
    locals: readonly LocalTime[],
    { ms: receivedMs, isDup }: { readonly ms: number; readonly isDup: boolean },
  ): boolean[] {
    if (log !== this.#log || partition !== this.#partition) {
      this.#log = log
      this.#partition = partition
      this.#through = -1
      this.#turned = []
    }
    if (offset <= this.#through) return locals.map((_, place) => this.#wasTurned(offset, place))
    this.#through = offset
    return locals.map(({ ms, other }, place) => {
      const chosen = this.#order.choose(Math.min(ms, other), Math.max(ms, other), receivedMs, isDup)
      this.#order.note(chosen, receivedMs)
      if (chosen === ms) return false
      this.#turned.push(offset, place)
      return true
    })
  }

  #wasTurned(offset: number, place: number): boolean {
    return this.#turned.some((one, i) => i % 2 === 0 && one === offset && this.#turned[i + 1] === place)
  }
}
