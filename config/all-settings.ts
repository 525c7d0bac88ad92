import { unknownSettings, type Environment, type Settings } from '../shared/config.ts'
import { nearest } from '../shared/nearest.ts'
import type { Logger } from '../shared/process/logger.ts'
import { cliSettings } from './cli.ts'
import { brokerProcessSettings, ingestWorkerProcessSettings, queryApiProcessSettings } from './cluster.ts'
import { migrateSettings } from './migrate.ts'
import { standaloneSettings } from './standalone.ts'

/** Every setting of every process: one environment is often given to all of them. */
const ALL: Settings = {
  ...standaloneSettings,
  ...brokerProcessSettings,
  ...ingestWorkerProcessSettings,
  ...queryApiProcessSettings,
  ...cliSettings,
  ...migrateSettings,
}

/** A slip of one letter from a setting of ours, and names that others have given a meaning: Kubernetes, CGI. */
const OF_OTHERS: ReadonlySet<string> = new Set(['NODE_IP', 'HTTP_HOST', 'DATA_DIRS'])

/** A name in the environment that no process reads, and what was meant most likely. */
export interface UnknownSetting {
  readonly name: string
  readonly reason: string
}

/**
 * Names in the environment that look like settings and are none: one slip away from one, or the file of a setting that is not read
 * from a file. Other names are those of other programs, whatever they begin with.
 */
export function unknownNames(env?: Environment): UnknownSetting[] {
  return unknownSettings(ALL, env).flatMap((name): UnknownSetting[] => {
    if (OF_OTHERS.has(name)) return []
    const base = name.replace(/_FILE$/, '')
    if (base !== name && Object.hasOwn(ALL, base)) {
      return [{ name, reason: `${base} is not read from a file: only secrets are` }]
    }
    const meant = nearest(name, Object.keys(ALL).flatMap(spellings), 1)
    return meant === undefined ? [] : [{ name, reason: `there is no such setting; was ${meant} meant?` }]
  })
}

/** Says at a start which names are ignored. */
export function warnOfUnknownNames(logger: Logger, env?: Environment): void {
  for (const { name, reason } of unknownNames(env)) {
    logger.warn({ name, reason }, 'the environment has a name that looks like a setting, and is ignored')
  }
}

function spellings(name: string): string[] {
  return ALL[name]?.secret === true ? [name, `${name}_FILE`] : [name]
}
