import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { SluiceError } from '../../../shared/errors.ts'

/** What of a Mosquitto configuration says who may log in and do what, and what of it has no counterpart here. */
export interface MosquittoConfig {
  /** In the order in which they are named; with per_listener_settings there may be several. */
  readonly passwordFiles: readonly string[]
  readonly aclFiles: readonly string[]
  /** The JSON file of the dynamic security plugin. */
  readonly dynamicSecurityFiles: readonly string[]
  /** One sentence for each setting that cannot be carried over. */
  readonly notes: readonly string[]
}

/** Included files may include others; nobody nests them deeper. */
const MAX_FILES = 100

/** Settings that decide who gets in or what they may do, and that Sluice does in another way or not at all. */
const NOT_CARRIED: Readonly<Record<string, (value: string) => string | undefined>> = {
  listener_allow_anonymous: (value) => (value === 'true' ? 'anonymous clients have no login in Sluice' : undefined),
  allow_anonymous: (value) => (value === 'true' ? 'anonymous clients have no login in Sluice' : undefined),
  psk_file: () => 'pre-shared keys are not supported; use TLS with a password or a client certificate',
  use_identity_as_username: (value) =>
    value === 'true' ? 'a certificate logs in the device that its common name, tenant/device, names' : undefined,
  use_subject_as_username: (value) => (value === 'true' ? 'a certificate logs in by its common name' : undefined),
  clientid_prefixes: () => 'client ids are not restricted: each login has its own',
  connection: () => 'a bridge; see mosquitto/README.md for one to Sluice',
  auth_plugin_deny_special_chars: () => undefined,
}

/**
 * Reads `mosquitto.conf` and what it includes. Errors: `command_failed` for a file that cannot be read, and for more
 * than 100 of them.
 */
export function readMosquittoConfig(file: string): MosquittoConfig {
  const found = {
    passwordFiles: new Set<string>(),
    aclFiles: new Set<string>(),
    dynamicSecurityFiles: new Set<string>(),
  }
  const notes: string[] = []
  const pending = [resolve(file)]
  for (let path = pending.shift(), count = 1; path !== undefined; path = pending.shift(), count += 1) {
    if (count > MAX_FILES) throw new SluiceError('command_failed', `${file} includes more than ${MAX_FILES} files`)
    let plugin = ''
    for (const { key, value, line } of settingsOf(readText(path))) {
      // A relative path is relative to where Mosquitto was started, which is most often where its configuration is.
      const named = resolve(dirname(path), value)
      if (key === 'password_file') found.passwordFiles.add(named)
      else if (key === 'acl_file') found.aclFiles.add(named)
      else if (key === 'include_dir') pending.push(...filesIn(named))
      else if (isPlugin(key)) plugin = pluginOf(key, value)
      else if (key === 'plugin_opt_password_file') found.passwordFiles.add(named)
      else if (key === 'plugin_opt_acl_file') found.aclFiles.add(named)
      else if (key === 'plugin_opt_config_file' || key === 'auth_opt_config_file') {
        if (plugin.includes('dynamic_security')) found.dynamicSecurityFiles.add(named)
      }
      if (isPlugin(key) && !OURS.test(plugin)) {
        notes.push(`${path}:${line}: ${key} ${value}: the logins of this plugin cannot be read`)
      }
      const reason = NOT_CARRIED[key]?.(value)
      if (reason !== undefined) notes.push(`${path}:${line}: ${key} ${value}: ${reason}`)
    }
  }
  return {
    passwordFiles: [...found.passwordFiles],
    aclFiles: [...found.aclFiles],
    dynamicSecurityFiles: [...found.dynamicSecurityFiles],
    notes,
  }
}

/** A text file. Error: `command_failed`. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SluiceError('command_failed', `${path} cannot be read: ${String(error)}`, { cause: error })
  }
}

function isPlugin(key: string): boolean {
  return ['plugin', 'auth_plugin', 'global_plugin', 'plugin_load'].includes(key)
}

/** Plugins of Mosquitto's own that hold logins or rules, which are read, or that hold none. */
const OURS = /dynamic_security|password_file|acl_file|persist_sqlite|sparkplug_aware|payload_modification/

/** `plugin_load` has a name in front of the path. */
function pluginOf(key: string, value: string): string {
  return basename(key === 'plugin_load' ? value.replace(/^\S+\s+/, '') : value)
}

function* settingsOf(text: string): Generator<{ key: string; value: string; line: number }> {
  for (const [index, raw] of text.split('\n').entries()) {
    const trimmed = raw.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [, key = '', value = ''] = /^(\S+)\s*(.*)$/.exec(trimmed) ?? []
    yield { key, value, line: index + 1 }
  }
}

/** As Mosquitto reads them: `*.conf`, by name. */
function filesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.conf'))
    return names.sort().map((name) => join(folder, name))
  } catch (error) {
    throw new SluiceError('command_failed', `${folder} cannot be read: ${String(error)}`, { cause: error })
  }
}
