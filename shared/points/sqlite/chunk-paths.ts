import { existsSync, readdirSync } from 'node:fs'

/** The files of chunks in a folder, as `{tenant id}/{year}-{month}.db`; none where there is no such folder. */
export function chunkPaths(folder: string): string[] {
  const paths = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  return paths.filter((path) => /^\d+\/\d+-\d\d\.db$/.test(path))
}
