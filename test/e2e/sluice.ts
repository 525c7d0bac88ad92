import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { Server } from './server.ts'

const root = join(import.meta.dirname, '../..')

/** What `./sluice` prints that is asked of this server. Rejects with what it says where it fails. */
export function sluice({ folder, httpPort }: Server, ...args: string[]): Promise<string> {
  // A runner that has colours asks for them everywhere.
  const env = { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1', DATA_DIR: folder, HTTP_PORT: String(httpPort) }
  return new Promise((resolve, reject) => {
    execFile(join(root, 'sluice'), args, { cwd: root, env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(stderr, { cause: error }))
    })
  })
}
