import { readFileSync } from 'node:fs'
import { SluiceError } from './errors.ts'

/**
 * The only reader of the environment. A service declares its settings as a table (`config/<service>.ts`), each with its
 * default, its meaning and a parser; the result is typed, frozen and complete, or the start fails naming the variable.
 */
export interface Setting<T> {
  readonly default: T
  /** One line for `config explain` and the reference. */
  readonly about: string
  /** Secrets are masked everywhere and may come from the file that NAME_FILE names. */
  readonly secret?: boolean
  /** There is no default: the start fails when it is not set. */
  readonly required?: boolean
  /** Returns the value, or throws an Error whose message is the reason. */
  readonly parse: (text: string) => T
}

export type Settings = Readonly<Record<string, Setting<unknown>>>
export type Config<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never }
export type Environment = Readonly<Record<string, string | undefined>>

export interface Explanation {
  readonly name: string
  readonly value: string
  readonly source: 'default' | 'environment' | 'file'
  readonly about: string
}

/** Reads every setting. Error: `setting_invalid` with the variable's name and the reason, all bad ones at once. */
export function loadConfig<S extends Settings>(settings: S, env: Environment = process.env): Config<S> {
  const problems: string[] = []
  const config: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(settings)) {
    try {
      const text = settingText(name, setting, env)
      if (text === undefined && setting.required === true) throw new Error(missing(name, setting))
      config[name] = text === undefined ? setting.default : setting.parse(text.value)
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (problems.length > 0) throw new SluiceError('setting_invalid', problems.join('; '))
  return Object.freeze(config) as Config<S>
}

function missing(name: string, { secret: isSecret }: Setting<unknown>): string {
  return isSecret === true ? `not set; set it, or name a file that holds it in ${name}_FILE` : 'not set'
}

/**
 * Reads a secret again each time it is asked: a file that NAME_FILE names may have been replaced since the start.
 * Error: `setting_invalid`.
 */
export function secretReader(
  name: string,
  setting: Setting<string | undefined>,
  env: Environment = process.env,
): () => string {
  return () => loadConfig({ [name]: setting }, env)[name] ?? ''
}

/** Every setting with its value (secrets masked) and where it came from. Same errors as {@link loadConfig}. */
export function explainConfig(settings: Settings, env: Environment = process.env): Explanation[] {
  const config = loadConfig(settings, env)
  return Object.entries(settings).map(([name, setting]) => {
    const source = settingText(name, setting, env)?.source ?? 'default'
    const value = config[name]
    const masked = setting.secret === true && value !== undefined
    return { name, value: masked ? '********' : display(value), source, about: setting.about }
  })
}

/** Names that the environment has with a value and that no setting of `known` reads, in alphabetical order. */
export function unknownSettings(known: Settings, env: Environment = process.env): string[] {
  const isRead = (name: string): boolean => {
    if (Object.hasOwn(known, name)) return true
    const base = name.replace(/_FILE$/, '')
    return base !== name && Object.hasOwn(known, base) && known[base]?.secret === true
  }
  return Object.keys(env)
    .filter((name) => env[name] !== undefined && env[name] !== '' && !isRead(name))
    .sort()
}

/** The environment that a child process starts with: ours and the given additions. */
export function childEnvironment(additions: Environment = {}): Record<string, string | undefined> {
  return { ...process.env, ...additions }
}

function display(value: unknown): string {
  if (value === undefined) return '(unset)'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function settingText(
  name: string,
  setting: Setting<unknown>,
  env: Environment,
): { value: string; source: 'environment' | 'file' } | undefined {
  const direct = env[name]
  const file = setting.secret === true ? env[`${name}_FILE`] : undefined
  if (direct !== undefined && file !== undefined) throw new Error(`both ${name} and ${name}_FILE are set; unset one`)
  if (direct !== undefined && direct !== '') return { value: direct, source: 'environment' }
  if (file === undefined || file === '') return undefined
  try {
    return { value: readFileSync(file, 'utf8').trim(), source: 'file' }
  } catch (error) {
    throw new Error(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** A whole number between bounds, both inclusive. */
export function integer(fallback: number, about: string, bounds: { min: number; max: number }): Setting<number> {
  return {
    default: fallback,
    about,
    parse(text) {
      const value = Number(text)
      if (!Number.isInteger(value) || value < bounds.min || value > bounds.max) {
        throw new Error(`"${text}" is not a whole number from ${bounds.min} to ${bounds.max}`)
      }
      return value
    },
  }
}

/** A TCP port; 0 lets the system choose one. */
export function port(fallback: number, about: string): Setting<number> {
  return integer(fallback, about, { min: 0, max: 65_535 })
}

export function text(fallback: string, about: string): Setting<string> {
  return { default: fallback, about, parse: (value) => value }
}

export function optionalText(about: string): Setting<string | undefined> {
  return { default: undefined, about, parse: (value) => value }
}

/** One that need not be secret, as a URL with or without a password. */
export function secretText(fallback: string, about: string): Setting<string> {
  return { default: fallback, about, secret: true, parse: (value) => value }
}

export function secret(about: string): Setting<string | undefined> {
  return { default: undefined, about, secret: true, parse: (value) => value }
}

export function requiredSecret(about: string): Setting<string> {
  return { default: '', about, secret: true, required: true, parse: (value) => value }
}

export function oneOf<const T extends string>(fallback: T, values: readonly T[], about: string): Setting<T> {
  return {
    default: fallback,
    about,
    parse(value) {
      const found = values.find((candidate) => candidate === value)
      if (found === undefined) throw new Error(`"${value}" is not one of ${values.join(', ')}`)
      return found
    },
  }
}
