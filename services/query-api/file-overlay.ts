import { toSluiceError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { gaugeOf, type Metrics } from '../../shared/process/metrics.ts'
import type { YamlFiles } from '../../shared/yaml-files.ts'

/** Between two looks at the files. */
const LOOK_MS = 1_000

export interface OverlayOptions {
  /** Without one nothing is read, and what files said before stays. */
  readonly folder: string | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly lookMs?: number
}

/** One kind of files, and what is done with what they say. */
interface Source<T> {
  /** For people, such as `policies`. */
  readonly what: string
  readonly gauge: string
  readonly setting: string
  /** False: a start with files that are wrong, or that cannot be in force, ends with that. */
  readonly startsWithout: boolean
  readonly read: (folder: string) => Promise<YamlFiles>
  /** Throws, naming file and line, for what is wrong. */
  readonly parse: (files: YamlFiles) => T
  /** Lays it over what people set. */
  readonly apply: (said: T) => Promise<void>
}

/**
 * Lays what stands in files over what people set: at the start, and when a file changed. While files are wrong, what they
 * said before stays in force.
 */
export class FileOverlay<T> {
  readonly #options: OverlayOptions
  readonly #source: Source<T>
  /** What was read last, and what of it the registry has. */
  #read: string | undefined
  #applied: string | undefined
  /** What was read and is wrong: it is looked at no more. */
  #wrong: string | undefined
  #problem: string | undefined
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  private constructor(options: OverlayOptions, source: Source<T>) {
    this.#options = options
    this.#source = source
    const help = `1 while what the files of ${source.setting} say is not in force: they are wrong, or the registry is away`
    gaugeOf(options.metrics, source.gauge, help, () => (this.#problem === undefined ? 0 : 1))
  }

  /**
   * Resolves when what the files say is in force, or is not yet because the registry does not answer. Errors: those of
   * `parse`, unless the source starts without.
   */
  static async open<T>(options: OverlayOptions, source: Source<T>): Promise<FileOverlay<T>> {
    const it = new FileOverlay(options, source)
    if (options.folder !== undefined) await it.#start(options.folder)
    return it
  }

  /** Why what the files say is not in force, with file and line where one is wrong; undefined while it is. */
  get problem(): string | undefined {
    return this.#problem
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async #start(folder: string): Promise<void> {
    try {
      const files = await this.#source.read(folder)
      this.#read = JSON.stringify([...files])
      await this.#lay(files, this.#read)
    } catch (error) {
      if (!this.#source.startsWithout && !toSluiceError(error).canRetry) throw error
      this.#report(error)
    }
    this.#timer = setInterval(() => this.#look(folder), this.#options.lookMs ?? LOOK_MS).unref()
  }

  #look(folder: string): void {
    this.#looking ??= this.#try(() => this.#readAgain(folder)).then(() => {
      this.#looking = undefined
    })
  }

  async #readAgain(folder: string): Promise<void> {
    const files = await this.#source.read(folder)
    const text = JSON.stringify([...files])
    // A file that is being written is not read half: what two looks find alike counts.
    const isSettled = text === this.#read
    this.#read = text
    if (text === this.#applied) this.#problem = undefined
    else if (isSettled && text !== this.#wrong) await this.#lay(files, text)
  }

  async #lay(files: YamlFiles, text: string): Promise<void> {
    this.#wrong = text
    const said = this.#source.parse(files)
    this.#wrong = undefined
    await this.#source.apply(said)
    this.#applied = text
    this.#problem = undefined
  }

  /** Never rejects: what failed is tried again with the next look. */
  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#report(error)
    }
  }

  /** Once, and again when it is something else. */
  #report(error: unknown): void {
    const { code, message } = toSluiceError(error)
    const problem = `${code} ${message}`
    if (problem !== this.#problem && code !== 'closed') {
      const told = `${this.#source.what} of files are not in force; those before stay`
      this.#options.logger.error({ code, detail: message }, told)
    }
    this.#problem = problem
  }
}
