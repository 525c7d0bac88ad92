import { toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { Durability, LogTopic } from '../port.ts'
import type { KafkaMetrics } from './metrics.ts'
import { SharedAnswer } from './shared-answer.ts'
import type { TopicState } from './topic-state.ts'

const INSPECT_EVERY_MS = 30_000

export interface TopicWatchParts {
  /** Of the topics in Kafka. */
  readonly names: Readonly<Record<LogTopic, string>>
  /** As of the start, by those names. */
  readonly states: ReadonlyMap<string, TopicState>
  /** Looks at the topics again. */
  readonly inspect: () => Promise<ReadonlyMap<string, TopicState>>
  readonly logger: Logger
  readonly kafkaMetrics: KafkaMetrics
}

/** How the topics are, looked at again when somebody asks and the last look is half a minute ago. */
export class TopicWatch {
  readonly #parts: TopicWatchParts
  readonly #onState: (topic: LogTopic, state: TopicState) => void
  readonly #answer: SharedAnswer<Durability>
  #states: ReadonlyMap<string, TopicState>
  #durability: Durability
  #atMs = performance.now()
  /** The last thing that was said about them. */
  #told = ''

  /** `onState` is told of each topic at each further look. */
  constructor(parts: TopicWatchParts, onState: (topic: LogTopic, state: TopicState) => void) {
    this.#parts = parts
    this.#onState = onState
    this.#states = parts.states
    this.#durability = this.#note(parts.states)
    this.#answer = new SharedAnswer(() => this.#inspect())
  }

  state(topic: LogTopic): TopicState | undefined {
    return this.#states.get(this.#parts.names[topic])
  }

  /** Not ok with `log_not_durable` when something that is acknowledged may be lost, or when that cannot be told. */
  async durability(): Promise<Durability> {
    if (performance.now() - this.#atMs < INSPECT_EVERY_MS) return this.#durability
    return this.#answer.ask()
  }

  async #inspect(): Promise<Durability> {
    try {
      this.#states = await this.#parts.inspect()
    } catch (error) {
      const { code, message } = toSluiceError(error)
      return { ok: false, detail: `${code}: ${message}` }
    }
    for (const topic of this.#topics()) {
      const state = this.state(topic)
      if (state !== undefined) this.#onState(topic, state)
    }
    this.#durability = this.#note(this.#states)
    this.#atMs = performance.now()
    return this.#durability
  }

  #topics(): LogTopic[] {
    return Object.keys(this.#parts.names) as LogTopic[]
  }

  #note(states: ReadonlyMap<string, TopicState>): Durability {
    const { kafkaMetrics, logger } = this.#parts
    for (const topic of this.#topics()) {
      const state = this.state(topic)
      if (state !== undefined) kafkaMetrics.state(topic, { ...state, differences: state.differences.length })
    }
    const { ok, detail: worth } = durabilityOf(states)
    kafkaMetrics.durable(ok)
    const notes = [...states].flatMap(([name, state]) => notesOf(name, state))
    const detail = [worth, ...notes].join('; ')
    // Told once, and again when it is another.
    if (detail !== this.#told) {
      if (!ok) logger.warn({ code: 'log_not_durable', detail }, 'with these topics acknowledged records may be lost')
      else if (notes.length > 0) logger.warn({ detail }, 'topics are not as Sluice would have them')
      else if (this.#told !== '') logger.info({ detail }, 'topics were changed')
    }
    this.#told = detail
    return { ok, detail }
  }
}

function durabilityOf(states: ReadonlyMap<string, TopicState>): Durability {
  const each = [...states.values()].map(({ durability }) => durability)
  const weak = each.filter(({ ok }) => !ok).map(({ detail }) => detail)
  if (weak.length > 0) return { ok: false, detail: `log_not_durable: ${weak.join('; ')}` }
  return { ok: true, detail: each.map(({ detail }) => detail).join('; ') }
}

/** What is otherwise than it should be without harm to what is acknowledged. */
function notesOf(name: string, { differences, unused, unread = 0 }: TopicState): string[] {
  const notes = differences.map((text) => `${name}: ${text}`)
  if (unused > 0) notes.push(`${name}: ${unused} partitions are not used`)
  if (unread > 0) notes.push(`${name}: nobody reads the ${unread} records in them`)
  return notes
}
