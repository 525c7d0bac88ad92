import { RedisLink, script, type Script, type ScriptArgument } from '../../shared/mesh/redis-link.ts'

const CHOICE = 'local function assign(share, message, qos, passed, except)'
const BEHIND = 'local function isMember(id)'

/** In place of one member of all nodes: one of each node, as brokers do that share out what they have each by itself. */
const OF_EACH_NODE = `
local function assign(share, message, qos, passed, except)
  local nodes, became = {}, 'nobody'
  for _, id in ipairs(call('HKEYS', P..'group:'..share)) do
    local _, _, node = record(string.match(id, '^([^/]*)//') or '', id)
    if node then nodes[node] = true end
  end
  for node in pairs(nodes) do became = assignOn(node, share, message, qos, passed, except) end
  return became
end
`

/** Known to be wrong: a group has as many members that get a message as it has nodes. */
export class EachNodeLink extends RedisLink {
  override eval(lua: Script, ...args: readonly ScriptArgument[]): Promise<unknown> {
    if (!lua.text.includes(CHOICE)) return super.eval(lua, ...args)
    const onOne = lua.text
      .replace(CHOICE, 'local function assignOn(only, share, message, qos, passed, except)')
      .replace('if node and id ~= except', 'if node == only and id ~= except')
      .replace(BEHIND, `${OF_EACH_NODE}${BEHIND}`)
    return super.eval(script(onOne), ...args)
  }
}
