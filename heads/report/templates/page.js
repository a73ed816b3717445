(function () {
"use strict";

// Dark or light: as the system has it, until the reader says otherwise.
function theme() {
  var root = document.documentElement, button = document.getElementById("theme");
  var system = matchMedia("(prefers-color-scheme: dark)");
  function stored(value) {
    try {
      if (value) localStorage.setItem("ser-theme", value);
      return localStorage.getItem("ser-theme");
    } catch (refused) { return value || null; }
  }
  function dark() { return root.dataset.theme ? root.dataset.theme === "dark" : system.matches; }
  function told() { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", "Show the page " + (dark() ? "light" : "dark")); }
  var kept = stored();
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  button.hidden = false;
  button.addEventListener("click", function () { root.dataset.theme = stored(dark() ? "light" : "dark"); told(); });
  system.addEventListener("change", told);
  told();
}

// Tables sort by a click on a column's title; what is undefined stays last.
function sortable(table) {
  var heads = Array.from(table.tHead.rows[0].cells), body = table.tBodies[0];
  function compare(a, b) {
    var x = Number(a), y = Number(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  }
  function sort(place, down) {
    var rows = Array.from(body.rows).map(function (row) { return [row, row.cells[place].dataset.value]; });
    rows.sort(function (a, b) {
      if (a[1] === undefined || b[1] === undefined) return (a[1] === undefined) - (b[1] === undefined);
      return compare(a[1], b[1]) * (down ? -1 : 1);
    });
    rows.forEach(function (row) { body.append(row[0]); });
    heads.forEach(function (head, n) {
      if (n === place) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  heads.forEach(function (head, place) {
    if (!body.querySelector("td:nth-child(" + (place + 1) + ")[data-value], th:nth-child(" + (place + 1) + ")[data-value]")) return;
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", function () {
      var was = head.getAttribute("aria-sort"), first = head.classList.contains("n") && place ? "descending" : "ascending";
      sort(place, was ? was === "ascending" : first === "descending");
    });
  });
}

// What is folded is printed too.
function unfoldForPrint() {
  var opened = [];
  addEventListener("beforeprint", function () {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach(function (one) { one.open = true; });
  });
  addEventListener("afterprint", function () { opened.forEach(function (one) { one.open = false; }); });
}

// The map of the clips.
var COLOURS = 8;
var SHAPES = [
  function (r) { return "m" + -r + ",0a" + r + "," + r + " 0 1,0 " + 2 * r + ",0a" + r + "," + r + " 0 1,0 " + -2 * r + ",0"; },
  function (r) { r *= .9; return "m" + -r + "," + -r + "h" + 2 * r + "v" + 2 * r + "h" + -2 * r + "z"; },
  function (r) { r *= 1.15; return "m0," + -r + "l" + r + "," + 1.8 * r + "h" + -2 * r + "z"; },
  function (r) { r *= 1.2; return "m0," + -r + "l" + r + "," + r + "l" + -r + "," + r + "l" + -r + "," + -r + "z"; },
  function (r) { r *= 1.15; return "m0," + r + "l" + r + "," + -1.8 * r + "h" + -2 * r + "z"; },
  function (r) { var a = .4 * r; r *= 1.15; var b = r - a; return "m" + -a + "," + -r + "h" + 2 * a + "v" + b + "h" + b + "v" + 2 * a + "h" + -b + "v" + b + "h" + -2 * a + "v" + -b + "h" + -b + "v" + -2 * a + "h" + b + "z"; },
  function (r) { var a = .5 * r; r *= 1.1; return "m" + -r + "," + (a - r) + "l" + (r - a) + "," + (r - a) + "l" + (a - r) + "," + (r - a) + "l" + a + "," + a + "l" + (r - a) + "," + (a - r) + "l" + (r - a) + "," + (r - a) + "l" + a + "," + -a + "l" + (a - r) + "," + (a - r) + "l" + (r - a) + "," + (a - r) + "l" + -a + "," + -a + "l" + (a - r) + "," + (r - a) + "l" + (a - r) + "," + (a - r) + "z"; },
  function (r) { r *= 1.15; return "m" + r + ",0l" + -1.8 * r + "," + r + "v" + -2 * r + "z"; },
  function (r) { r *= 1.15; return "m" + -r + ",0l" + 1.8 * r + "," + r + "v" + -2 * r + "z"; }
];
var UNKNOWN = "not known", OTHERS = "others", MOST = 40;

function element(name, attributes) {
  var made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (var key in attributes) made.setAttribute(key, attributes[key]);
  return made;
}

function map(root) {
  var data = JSON.parse(root.querySelector(".data").textContent);
  var plot = root.querySelector(".plot"), svg = plot.querySelector("svg"), legend = root.querySelector(".legend");
  var by = root.querySelector(".by"), of = root.querySelector(".of"), told = root.querySelector(".told");
  var player = root.querySelector(".player"), audio = player.querySelector("audio"), message = player.querySelector("p");
  var count = data.ids.length, xs = new Float64Array(count), ys = new Float64Array(count);
  var current = -1, alone = null, ring = element("circle", { "class": "ring", r: 8, visibility: "hidden" });
  // A letter for each clip's class, `0` the first; two digits for how sure the run is.
  var runs = data.runs.map(function (run) {
    function places(letters) { return Array.from(letters, function (c) { return c === "!" ? -1 : c.charCodeAt(0) - 48; }); }
    return { name: run.name, labels: run.labels, of: places(run.of), truth: places(run.truth), sure: run.sure };
  });

  // Names and each clip's place among them, for every way to colour; places beyond the names are others.
  function ways() {
    var made = {};
    ["emotion", "gender", "speaker"].forEach(function (name) {
      if (data.columns[name].names.length) made[name] = data.columns[name];
    });
    var run = runs[of.selectedIndex] || runs[0];
    if (run) {
      made.prediction = { names: run.labels, of: run.of };
      made["right or wrong"] = { names: ["right", "wrong"], of: run.of.map(function (p, n) { return p < 0 || run.truth[n] < 0 ? -1 : +(p !== run.truth[n]); }) };
    }
    return made;
  }

  function look(place) { return { colour: place % COLOURS, shape: (place + Math.floor(place / COLOURS)) % SHAPES.length }; }

  function groups() {
    var way = ways()[by.value] || { names: [], of: data.ids.map(function () { return -1; }) };
    var found = way.names.slice(0, MOST).map(function (name, place) {
      return { name: name, look: look(place), clips: [] };
    });
    var others = { name: OTHERS, look: { colour: 6, shape: 0 }, clips: [] };
    var unknown = { name: UNKNOWN, look: { colour: 6, shape: 6 }, clips: [] };
    way.of.forEach(function (place, clip) { (place < 0 ? unknown : place < MOST ? found[place] : others).clips.push(clip); });
    return found.concat(others, unknown).filter(function (group) { return group.clips.length; });
  }

  function draw() {
    var width = plot.clientWidth, height = plot.clientHeight, room = 16;
    if (!width) return;
    var r = count < 300 ? 5 : count < 1500 ? 4 : 3;
    svg.setAttribute("viewBox", "0 0 " + width + " " + height);
    for (var n = 0; n < count; n++) {
      xs[n] = room + data.x[n] / 9999 * (width - 2 * room);
      ys[n] = room + (1 - data.y[n] / 9999) * (height - 2 * room);
    }
    svg.replaceChildren.apply(svg, groups().map(function (group) {
      var shape = SHAPES[group.look.shape](r);
      var d = group.clips.map(function (clip) { return "M" + xs[clip].toFixed(1) + "," + ys[clip].toFixed(1) + shape; }).join("");
      return element("path", { d: d, "class": "p" + group.look.colour + (alone && alone !== group.name ? " faint" : ""), "fill-opacity": .8 });
    }));
    svg.append(ring);
    mark();
  }

  function drawLegend() {
    legend.replaceChildren.apply(legend, groups().map(function (group) {
      var button = document.createElement("button"), sign = element("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
      sign.append(element("path", { d: "M0,0" + SHAPES[group.look.shape](5), "class": "p" + group.look.colour }));
      button.type = "button";
      button.append(sign, group.name + " (" + group.clips.length + ")");
      button.setAttribute("aria-pressed", String(alone === group.name));
      button.addEventListener("click", function () {
        alone = alone === group.name ? null : group.name;
        Array.from(legend.children).forEach(function (one) { one.setAttribute("aria-pressed", String(one === button && alone !== null)); });
        draw();
      });
      return button;
    }));
  }

  function mark() {
    ring.setAttribute("visibility", current < 0 ? "hidden" : "visible");
    if (current < 0) return;
    ring.setAttribute("cx", xs[current]);
    ring.setAttribute("cy", ys[current]);
  }

  function named(column, clip) {
    var place = column.of[clip];
    return place < 0 ? null : column.names[place];
  }

  function tell(clip) {
    current = clip;
    mark();
    if (clip < 0) { told.textContent = "Point at a clip, or go to one with the arrow keys."; return; }
    var strong = document.createElement("b"), run = runs[of.selectedIndex] || runs[0], facts = [];
    strong.textContent = data.ids[clip];
    facts.push("true " + (run && run.truth[clip] >= 0 ? run.labels[run.truth[clip]] : named(data.columns.emotion, clip) || UNKNOWN));
    if (run && run.of[clip] >= 0) facts.push("predicted " + run.labels[run.of[clip]] + " (" + Number(run.sure.substr(2 * clip, 2)) + " %)");
    facts.push("speaker " + (named(data.columns.speaker, clip) || UNKNOWN));
    if (named(data.columns.gender, clip)) facts.push(named(data.columns.gender, clip));
    told.replaceChildren(strong, " · " + facts.join(" · "));
  }

  // The audio beside the page's folder, where it was when the page was made, or next to the page.
  function places(clip) {
    var sounds = data.sounds, folder = sounds.folder[clip], part = sounds.part[clip] || "";
    if (folder < 0) return [];
    var file = fileOf(clip) + part, found = [sounds.near[folder] + file];
    if (location.protocol === "file:") found.push(sounds.far[folder] + file);
    return found.concat("./" + file);
  }

  function fileOf(clip) { return data.sounds.file.length ? data.sounds.file[clip] : encodeURIComponent(data.ids[clip]) + data.sounds.end; }

  function play(clip) {
    if (clip < 0) return;
    var left = places(clip);
    player.hidden = false;
    message.textContent = "";
    function next() {
      if (!left.length) {
        audio.onerror = null;
        audio.removeAttribute("src");
        message.textContent = data.ids[clip] + " cannot be played: its audio is not where it was (" + decoded(data.sounds, clip) + "), or not of a kind that this browser plays.";
        return;
      }
      audio.onerror = next;
      audio.src = left.shift();
      audio.play().catch(function (refused) {
        if (refused.name === "NotAllowedError") message.textContent = "Press play: the browser wants to be asked.";
      });
    }
    next();
  }

  function decoded(sounds, clip) {
    if (sounds.folder[clip] < 0) return "its utterance is not known";
    var path = sounds.far[sounds.folder[clip]].replace("file://", "") + fileOf(clip);
    try { return decodeURIComponent(path); } catch (broken) { return path; }
  }

  function nearest(event, within) {
    var box = plot.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    var best = -1, least = within * within;
    for (var n = 0; n < count; n++) {
      var d = (xs[n] - x) * (xs[n] - x) + (ys[n] - y) * (ys[n] - y);
      if (d < least) { least = d; best = n; }
    }
    return best;
  }

  // The next clip in a direction: near, and not far off to the side.
  function step(dx, dy) {
    if (current < 0) return 0;
    var best = current, least = Infinity;
    for (var n = 0; n < count; n++) {
      var x = xs[n] - xs[current], y = ys[n] - ys[current], ahead = x * dx + y * dy;
      if (ahead <= .5) continue;
      var cost = ahead + 3 * Math.abs(x * dy - y * dx);
      if (cost < least) { least = cost; best = n; }
    }
    return best;
  }

  var KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  plot.addEventListener("pointermove", function (event) {
    if (event.pointerType === "touch") return;
    var clip = nearest(event, 14);
    if (clip >= 0 && clip !== current) tell(clip);
  });
  plot.addEventListener("click", function (event) {
    var clip = nearest(event, 24);
    if (clip >= 0) { tell(clip); play(clip); }
  });
  plot.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (KEYS[event.key]) tell(step.apply(null, KEYS[event.key]));
    else if (event.key === "Home") tell(0);
    else if (event.key === "End") tell(count - 1);
    else if (event.key === "Escape") tell(-1);
    else if (event.key === "Enter" || event.key === " ") play(current);
    else return;
    event.preventDefault();
  });
  runs.forEach(function (run) { of.add(new Option(run.name)); });
  of.closest("label").hidden = runs.length < 2;
  Object.keys(ways()).forEach(function (name) { by.add(new Option(name)); });
  if (!by.options.length) { by.add(new Option("emotion")); }
  by.addEventListener("change", function () { alone = null; drawLegend(); draw(); });
  of.addEventListener("change", function () { drawLegend(); draw(); tell(current); });
  [root.querySelector(".controls"), plot, legend, told].forEach(function (one) { one.hidden = false; });
  new ResizeObserver(draw).observe(plot);
  addEventListener("beforeprint", draw);
  drawLegend();
  draw();
  tell(-1);
}

theme();
document.querySelectorAll("table[data-sortable]").forEach(sortable);
unfoldForPrint();
document.querySelectorAll(".map").forEach(map);
}());
