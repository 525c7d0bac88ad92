import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where built servers are kept, outside the checkout: `$XDG_CACHE_HOME/sluice`, or `~/.cache/sluice`. */
function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sluice')
}

/**
 * The folder of one version of one server, built if it is not there. It is built under a temporary name and renamed, so
 * that an interrupted or a second build at the same time leaves nothing half done.
 */
export async function cachedBuild(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder(), name)
  if (existsSync(folder)) return folder
  mkdirSync(cacheFolder(), { recursive: true })
  const temporary = mkdtempSync(join(cacheFolder(), `${name}.building-`))
  try {
    await build(temporary)
    if (!existsSync(folder)) renameSync(temporary, folder)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  return folder
}
