import { SluiceError, toSluiceError } from '../../errors.ts'
import type { ConsumeOptions, LogConsumer, Position } from '../port.ts'
import { PartitionReader } from './partition-reader.ts'
import type { LogThread, Registered } from './messages.ts'
import type { PartitionView } from './partition-view.ts'

interface GroupConsumerOptions extends ConsumeOptions {
  readonly client: LogThread
  readonly views: readonly PartitionView[]
  readonly log: string
  readonly registered: Registered
  /** The consumer left the group. */
  readonly onClosed: () => void
}

/** The only member of a group: one loop per partition, each one batch at a time. */
export class GroupConsumer implements LogConsumer {
  readonly #options: GroupConsumerOptions
  readonly #abort = new AbortController()
  readonly #loops: Promise<void>[]
  #closing: Promise<void> | undefined

  constructor(options: GroupConsumerOptions) {
    this.#options = options
    this.#loops = options.views.map((view, partition) => this.#run(view, partition))
  }

  async commit(positions: readonly Position[]): Promise<void> {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the consumer is closed')
    const { client, topic, group } = this.#options
    await client.ask('commit', { topic, group, positions })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#abort.abort()
    await Promise.all(this.#loops)
    this.#options.onClosed()
  }

  async #run(view: PartitionView, partition: number): Promise<void> {
    const { signal } = this.#abort
    const { client, log, topic, registered, maxRecords, onAssigned, onBatch, onGap, onRevoked } = this.#options
    try {
      onAssigned?.({ partition, log, end: view.end, isNew: registered.isNew, note: registered.notes[partition] })
      const reader = new PartitionReader(registered.committed[partition] ?? 0, {
        client,
        log,
        view,
        topic,
        partition,
        ...(onGap === undefined ? {} : { onGap }),
      })
      while (!signal.aborted) {
        const batch = await reader.next(maxRecords)
        if (signal.aborted) break
        if (batch === undefined) await view.waitFor(reader.position, signal)
        else await onBatch(batch, signal)
      }
    } catch (error) {
      this.#stop(error)
    }
    onRevoked?.(partition)
  }

  /** The first failure of any partition ends all of them; what fails while closing was told to stop. */
  #stop(error: unknown): void {
    if (this.#abort.signal.aborted) return
    this.#abort.abort()
    this.#options.onError(toSluiceError(error))
  }
}
