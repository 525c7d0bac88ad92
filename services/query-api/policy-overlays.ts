import { gaugeOf, type Metrics } from '../../shared/process/metrics.ts'
import type { Logger } from '../../shared/process/logger.ts'
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import { overlaysOf, readPolicyFiles } from '../../shared/policies/policy-files.ts'
import type { PolicyScope } from '../../shared/policies/document.ts'
import { afterFiles, type Overlay } from '../../shared/policies/sources.ts'
import type { PolicyRevision } from '../../shared/registry/policies-port.ts'
import type { Registry } from '../../shared/registry/port.ts'

/** Between two looks at the files. */
const LOOK_MS = 1_000
const NOTHING: Overlay = { document: {}, places: {} }
/** Another API process that lays the same over is done after this many attempts. */
const ATTEMPTS = 5

interface Options {
  readonly registry: Pick<Registry, 'policies' | 'audit'>
  /** Without one nothing is read, and what files said before stays. */
  readonly folder: string | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly lookMs?: number
}

/**
 * Lays policies that stand in files over those that people set: at the start, and when a file changed. Processes with the
 * same files write it once, whoever is first; the registry tells all others, and refuses changes of what is of a file.
 * While files are no policies, those before stay in force.
 */
export class PolicyOverlays {
  readonly #options: Options
  /** What was read last, and what of it the registry has. */
  #read: string | undefined
  #applied: string | undefined
  /** What was read and is no policies: it is looked at no more. */
  #wrong: string | undefined
  #problem = ''
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  private constructor(options: Options) {
    this.#options = options
    const help = '1 while what the files of POLICY_FILES say is not in force: they are wrong, or the registry is away'
    gaugeOf(options.metrics, 'sluice_policy_files_refused', help, () => (this.#problem === '' ? 0 : 1))
  }

  /**
   * Resolves when what the files say is in force, or the registry does not answer: then it is as soon as that does.
   * Error: `policy_invalid`, with file and line.
   */
  static async open(options: Options): Promise<PolicyOverlays> {
    const it = new PolicyOverlays(options)
    if (options.folder !== undefined) await it.#start(options.folder)
    return it
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async #start(folder: string): Promise<void> {
    const files = await readPolicyFiles(folder)
    const text = JSON.stringify([...files])
    this.#read = text
    try {
      await this.#apply(text, overlaysOf(files))
    } catch (error) {
      if (!toSluiceError(error).canRetry) throw error
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
    const files = await readPolicyFiles(folder)
    const text = JSON.stringify([...files])
    // A file that is being written is not read half: what two looks find alike counts.
    const isSettled = text === this.#read
    this.#read = text
    if (text === this.#applied) this.#problem = ''
    else if (isSettled && text !== this.#wrong) {
      this.#wrong = text
      const overlays = overlaysOf(files)
      this.#wrong = undefined
      await this.#apply(text, overlays)
    }
  }

  async #apply(text: string, overlays: ReadonlyMap<PolicyScope, Overlay>): Promise<void> {
    const inForce = new Map((await this.#options.registry.policies.list()).map((one) => [one.scope, one]))
    const dropped = [...inForce.values()].filter(({ sources }) => Object.keys(sources?.files ?? {}).length > 0)
    for (const scope of new Set([...dropped.map((one) => one.scope), ...overlays.keys()])) {
      await this.#lay(scope, overlays.get(scope) ?? NOTHING, inForce.get(scope))
    }
    this.#applied = text
    this.#problem = ''
  }

  async #lay(scope: PolicyScope, overlay: Overlay, before: PolicyRevision | undefined): Promise<void> {
    if (afterFiles(before, overlay, scope) === undefined) return
    const { registry, logger } = this.#options
    const places = Object.values(
      Object.keys(overlay.places).length > 0 ? overlay.places : (before?.sources?.files ?? {}),
    )
    const names = [...new Set(places.map((place) => place.replace(/:\d+$/, '')))]
    const who = `file ${names.join(', ')}`.slice(0, 256)
    const put = await this.#repeat(() => registry.policies.overlay({ scope, overlay, who }))
    if (put === undefined) return
    const subject = scope ?? 'default of all tenants'
    logger.info({ scope: subject, revision: put.revision, files: names }, 'policies of files are in force')
    const detail = `revision ${put.revision}: ${JSON.stringify(put.document)}`
    await registry.audit({ who, action: 'policies.set', subject, detail }).catch((error: unknown) => {
      // What it is about has happened, as with what people do: see audit.ts.
      logger.error({ err: error, subject }, 'the audit entry was not written')
    })
  }

  async #repeat<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        const isLate = error instanceof SluiceError && error.code === 'policy_changed'
        if (!isLate || attempt === ATTEMPTS) throw error
      }
    }
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
      this.#options.logger.error({ code, detail: message }, 'policies of files are not in force; those before stay')
    }
    this.#problem = problem
  }
}
