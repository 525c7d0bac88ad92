import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { startServer, type Server } from '../../e2e/server.ts'
import { tempFolder } from '../../helpers.ts'

const root = join(import.meta.dirname, '../../..')

/** What `./sluice policies …` prints, whether it worked or not. */
function policies({ folder, httpPort }: Server, ...args: string[]): Promise<string> {
  const env = { ...process.env, DATA_DIR: folder, HTTP_PORT: String(httpPort) }
  return new Promise((resolve) => {
    execFile(join(root, 'sluice'), ['policies', ...args], { cwd: root, env }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    )
  })
}

describe('policies in files, on a server', () => {
  it('are in force from the first message on, follow the file, and a wrong file ends the next start', async () => {
    const folder = tempFolder()
    const file = join(folder, 'demo.yaml')
    const write = (value: string) => writeFileSync(file, `tenant: demo\nquoted_numbers: ${value}\n`)
    write('number')
    const env = { POLICY_FILES: folder }
    const server = await startServer({ env })
    const show = () => policies(server, 'show', '--tenant', 'demo')
    expect(await show()).toMatch(/^quoted_numbers +number +tenant +demo\.yaml:2$/m)
    const refused = await policies(server, 'set', 'quoted_numbers=text', '--tenant', 'demo')
    expect(refused).toContain('quoted_numbers is set by demo.yaml:2')
    expect(await policies(server, 'set', 'same_time=keep', '--tenant', 'demo')).toContain('now has revision 2')
    write('text')
    await vi.waitFor(async () => expect(await show()).toMatch(/^quoted_numbers +text +tenant +demo\.yaml:2$/m), {
      timeout: 20_000,
    })
    expect(await show()).toMatch(/^same_time +keep +tenant +admin$/m)
    write('maybe')
    const said = 'demo.yaml:2: quoted_numbers is \\"maybe\\"'
    await vi.waitFor(() => expect(server.log()).toContain(said), { timeout: 20_000 })
    expect(await policies(server, 'history', '--tenant', 'demo')).toMatch(/^3 .*file demo\.yaml/m)
    await server.kill('SIGTERM')
    await expect(startServer({ env, folder: server.folder })).rejects.toThrow(
      /exited with 1 [^]*demo\.yaml:2: quoted_numbers is "maybe": it must be one of text, number \(policy_invalid\)/,
    )
  })
})
