// The sliders of the course's explorers: each combination of choices has a picture and a sentence, made beforehand.
function explorer(box) {
  const { names, choices, start, frames, folder } = JSON.parse(box.querySelector("script").textContent);
  const [image, sentence] = [box.querySelector("img"), box.querySelector("p")];
  const sliders = names.map((name, i) => {
    const [label, slider, value] = ["label", "input", "span"].map((tag) => document.createElement(tag));
    Object.assign(slider, { type: "range", min: 0, max: choices[i].length - 1, step: 1 });
    slider.value = start[i];
    slider.setAttribute("aria-label", names[i]); // without the value, which is read by itself
    label.append(`${name} = `, value, slider);
    box.insertBefore(label, image);
    slider.addEventListener("input", show);
    return { slider, value };
  });
  function show() {
    let number = 0; // of the frame: the last slider counts fastest
    const texts = sliders.map(({ slider, value }, i) => {
      number = number * choices[i].length + Number(slider.value);
      value.textContent = choices[i][slider.value];
      slider.setAttribute("aria-valuetext", value.textContent);
      return `${names[i]} = ${value.textContent}`;
    });
    const [file, said] = frames[number];
    image.src = folder + file;
    image.alt = `Picture at ${texts.join(", ")}`;
    sentence.textContent = said;
  }
  show();
}

// What scrolls sideways can be reached by keyboard.
function reachable() {
  for (const box of document.querySelectorAll("div.math, .cell_output, .explorer, .highlight pre, .output pre"))
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
}

document.querySelectorAll(".explorer").forEach(explorer);
reachable();
window.addEventListener("resize", reachable);
