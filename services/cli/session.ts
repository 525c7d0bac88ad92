import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import pc from 'picocolors'
import { cliSettings } from '../../config/cli.ts'
import { loadConfig, type Config, type Environment } from '../../shared/config.ts'
import { SluiceError } from '../../shared/errors.ts'
import { ApiClient } from '../../shared/api-client.ts'
import { printable, printableJson, printableLines } from '../../shared/printable.ts'

/** What a command may use of the process it runs in; `main.ts` makes it. */
export interface Host {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** A person watches stderr, so a line may be written over. */
  readonly isTerminal: boolean
  /** stdout is read by a person and kept by no journal. */
  readonly outputIsTerminal: boolean
  readonly colors: boolean
  readonly nodeVersion: string
  /** Of Node, for processes that a command starts. */
  readonly execPath: string
  readonly pid: number
  /** The process's own when undefined. */
  readonly env?: Environment
  /** From the first call on, the first SIGINT or SIGTERM aborts the signal and the second one ends the process. */
  readonly interruption: () => AbortSignal
}

/** A line of JSON for programs, in which a person who looks at it sees everything. */
export function jsonLine(value: unknown): string {
  return `${printableJson(JSON.stringify(value))}\n`
}

export interface GlobalOptions {
  readonly json?: boolean
  readonly url?: string
}

/** One run of one command: its settings, its way to the API and its output. */
export class Session {
  readonly host: Host
  readonly json: boolean
  readonly settings: Config<typeof cliSettings>
  readonly color: ReturnType<typeof pc.createColors>
  readonly url: string
  /** The address of the API was said, and not only supposed. */
  readonly isAddressed: boolean
  #api: ApiClient | undefined

  /** Error: `setting_invalid`. */
  constructor(host: Host, options: GlobalOptions) {
    this.host = host
    this.json = options.json === true
    this.settings = loadConfig(cliSettings, host.env)
    this.color = pc.createColors(host.colors && !this.json)
    this.isAddressed = (options.url ?? this.settings.SLUICE_URL) !== undefined
    this.url = options.url ?? this.settings.SLUICE_URL ?? `http://127.0.0.1:${this.settings.HTTP_PORT}`
  }

  /** Error: `token_missing` when there is neither a setting nor a file; `bad_request` for an address that is none. */
  get api(): ApiClient {
    this.#api ??= new ApiClient({ url: this.url, token: this.#token() })
    return this.#api
  }

  /** The result of the command: JSON for programs, text for people. */
  result(value: unknown, text: () => string): void {
    this.host.stdout(
      this.json ? jsonLine(value) : `${printableLines(text(), { colors: this.color.isColorSupported })}\n`,
    )
  }

  /** A remark for a person, apart from the result. */
  note(line: string): void {
    this.host.stderr(`${printable(line)}\n`)
  }

  #token(): string {
    const { SLUICE_TOKEN, DATA_DIR } = this.settings
    if (SLUICE_TOKEN !== undefined) return SLUICE_TOKEN
    const file = join(DATA_DIR, 'admin-token')
    try {
      return readFileSync(file, 'utf8').trim()
    } catch (error) {
      const message = `no API key: SLUICE_TOKEN is not set, and ${file}, which the first \`./sluice up\` creates, cannot be read`
      throw new SluiceError('token_missing', message, { cause: error })
    }
  }
}

/** Exit code of a command that ran: 0 done, 1 the answer is "no". Whatever it throws ends in 1, too. */
export type ExitCode = 0 | 1

export interface Commands {
  readonly program: Command
  /** Wraps what a command does: gives it its session and keeps its exit code. `A` is its arguments and options. */
  readonly run: <A extends unknown[]>(
    action: (session: Session, ...args: A) => Promise<ExitCode | void>,
  ) => (...args: [...A, Command]) => Promise<void>
}
