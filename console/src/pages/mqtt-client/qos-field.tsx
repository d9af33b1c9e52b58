export const readQos = (text: string): 0 | 1 | 2 => (text === '2' ? 2 : text === '0' ? 0 : 1)

export function QosField({ name }: { name: string }) {
  return (
    <label class="qos">
      QoS
      <select name={name} defaultValue="1">
        <option value="0">0</option>
        <option value="1" selected>
          1
        </option>
        <option value="2">2</option>
      </select>
    </label>
  )
}
