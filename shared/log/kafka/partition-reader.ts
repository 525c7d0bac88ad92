import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { toSluiceError, type SluiceError } from '../../errors.ts'
import type { Feed } from './feed.ts'
import type { Run } from './record-batch.ts'

/**
 * The records of a partition, one run after the other. Where the next ones are damaged they are asked for again, without end:
 * another replica may lead the partition by then, or somebody deletes them. Nothing is skipped, and nobody else waits.
 */
export class PartitionReader {
  readonly #open: (offset: number) => Feed
  #feed: Feed
  #failures = 0

  constructor(open: (offset: number) => Feed, offset: number) {
    this.#open = open
    this.#feed = open(offset)
  }

  /** Offset behind the last record, as of the last answer. */
  get end(): number {
    return this.#feed.end
  }

  /** Undefined once the signal is aborted. `onStuck` is told of damage, and when it is passed. Rejects with what else fails. */
  async next(
    limit: number,
    signal: AbortSignal,
    onStuck: (error: SluiceError | undefined) => void,
  ): Promise<Run | undefined> {
    for (;;) {
      try {
        const run = await this.#feed.next(limit, signal)
        if (run !== undefined && this.#failures > 0) onStuck(undefined)
        this.#failures = 0
        return run
      } catch (error) {
        const failure = toSluiceError(error)
        if (failure.code !== 'log_corrupt') throw failure
        this.#failures += 1
        onStuck(failure)
        const { position } = this.#feed
        this.#feed.close()
        await pause(backoffMs(BACKOFF.lasting, this.#failures), signal)
        this.#feed = this.#open(position)
      }
    }
  }

  close(): void {
    this.#feed.close()
  }
}
